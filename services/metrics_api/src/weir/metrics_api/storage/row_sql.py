"""A question about sums of rows as SQL: the same for every database, but for what a histogram is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weir.metrics_api.metrics.dimension import PRODUCTION
from weir.metrics_api.metrics.measure import Distributions, Sums
from weir.metrics_api.storage import fates_sql, filtering
from weir.metrics_api.storage.port import MEASURES
from weir.metrics_api.storage.position import first_of
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.request_row import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from weir.metrics_api.storage.port import RollupAnswer, RowQuestion
    from weir.metrics_api.storage.queries import Dialect

_NAMED: Final = {
    "model": "r.filed_model_id", "user": "r.user_id", "tenant": "r.tenant_id", "project": "r.project_id",
    "api_key_id": "r.api_key_id", "provider": "r.provider_id", "upstream": "r.upstream_id",
    "endpoint": "r.endpoint_id",
    "variant": f"nullif(r.variant_id, (select id from names where name = '{PRODUCTION}'))",  # noqa: S608 - no values
}  # fmt: skip
"""Groups that rows hold the id of a string for."""
_PLAIN: Final = {"outcome": "r.outcome", "status_code": "r.status_code", "stream": "r.stream"}
_SUMS: Final = {
    "requests": "count(*)",
    "retries": "cast(sum(r.retries) as bigint)",
    "usage_reported": "count(*) filter (where r.usage_source = 0)",
    **{name: f"cast(coalesce(sum(r.{name}), 0) as bigint)" for name in Sums._fields[3::2]},
    **{name: f"count(r.{name.removesuffix('_n')})" for name in Sums._fields[4::2]},
    "errors": f"count(*) filter (where r.outcome in ({fates_sql.ERROR_CODES}))",
    "completed": "count(*) filter (where r.outcome = 0)",
    "completed_reported": "count(*) filter (where r.outcome = 0 and r.usage_source = 0)",
}


_FIRST_GROUP: Final = 2 + len(MEASURES)
"""Its column, behind slot and sums, if there are no histograms."""


class Asked(NamedTuple):
    """The text with its values, and the histograms in the order of their columns."""

    text: str
    values: list[Any]
    kept: list[str]


def asked(
    question: RowQuestion,
    slot: tuple[str, Sequence[float]],
    values: Mapping[str, str],
    collect: str,
    dialect: Dialect,
) -> Asked:
    """`slot` tells the time slot of `r`, `values` what each histogram counts, `collect` how they are told."""
    kept = [name for name in Distributions._fields if name in question.distributions]
    conditions, filtered = filtering.rows(question.filter)
    groups = [_NAMED.get(name) or _PLAIN[name] for name in question.group_by]
    joined = [name for name in question.group_by if name in _NAMED]
    timed = " and r.outcome = 0" if question.completed_times else ""
    collected = [
        f"{collect.format(values[name])} filter (where {values[name]} is not null{timed})" for name in kept
    ]
    text = query(
        "row_sums",
        dialect,
        slot=slot[0],
        filter=conditions,
        totals=",\n  ".join(f"r.{name}" for name in MEASURES),
        sums=",\n    ".join(
            f"{_SUMS[name] if name in question.measures else 0} as {name}" for name in MEASURES
        ),
        distributions="".join(f"r.{name}_values,\n  " for name in kept),
        values="".join(f"{each} as {name}_values,\n    " for name, each in zip(kept, collected, strict=True)),
        groups=", ".join(map(_group, question.group_by)) or "null",
        group_ids=", ".join(
            f"{group} as {name}_group" for name, group in zip(question.group_by, groups, strict=True)
        )
        or "null as no_group",
        group_by=", ".join(["1", *(str(_FIRST_GROUP + len(kept) + place) for place in range(len(groups)))]),
        joins="\n".join(f"left join names as {name}_ on {name}_.id = r.{name}_group" for name in joined),
    )
    bounds = first_of(question.window.start), first_of(question.window.end)
    return Asked(text, [*slot[1], *bounds, *filtered, question.at_most], kept)


def _group(name: str) -> str:
    if name == "variant":
        return f"coalesce(variant_.name, '{PRODUCTION}')"
    return f"{name}_.name" if name in _NAMED else f"r.{name}_group"


def with_names(answer: RollupAnswer, group_by: Sequence[str]) -> RollupAnswer:
    """Groups by the values that dimensions have, not by what rows hold for them."""
    group = [
        OUTCOMES[int(value or 0)].value if name == "outcome" else value
        for name, value in zip(group_by, answer.group, strict=True)
    ]
    return answer._replace(group=tuple(group))

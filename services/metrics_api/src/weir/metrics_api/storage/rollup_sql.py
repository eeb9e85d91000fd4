"""A question about roll-ups as SQL, and the rows found as answers: the same for every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weir.events import Outcome
from weir.metrics_api.metrics import dimension
from weir.metrics_api.metrics.histogram import merge
from weir.metrics_api.metrics.measure import NO_DISTRIBUTIONS, Cell, Distributions, Sums
from weir.metrics_api.storage import filtering
from weir.metrics_api.storage.port import RollupAnswer
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.rollup_tables import parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weir.metrics_api.storage.port import RollupQuestion
    from weir.metrics_api.storage.queries import Dialect

_AFTER_SUMS: Final = 1 + len(Sums._fields)
_UNION: Final = "\nunion all\n"


class Asked(NamedTuple):
    """What a question asks of the database: a text with its values for the sums, one for the histograms."""

    sums: tuple[str, list[Any]]
    distributions: tuple[str, list[Any]] | None
    columns: tuple[tuple[str, ...], int]
    """The histograms in the order of their columns, and how many columns of groups follow them."""


def asked(question: RollupQuestion, slot: str, slot_values: Sequence[float], dialect: Dialect) -> Asked:
    """`slot` tells the time slot of `r.bucket`, with two values or none."""
    found = parts(question)
    groups = [f"d.{name}" for name in question.group_by if name in dimension.NAMES]
    kept = tuple(name for name in Distributions._fields if name in question.distributions)
    conditions, values = filtering.dimensions(question.filter)
    bounds = [bound for part in found for bound in (part.first, part.end)]
    sums = query(
        "rollups",
        dialect,
        slot=slot,
        groups=", ".join(groups) or "null",
        segments=_UNION.join(query("rollup_segment", table=part.table) for part in found),
        filter=query("rollup_matching", filter=conditions) if conditions else "",
        group_by=", ".join(["1", *groups]),
    )
    wanted = [*slot_values, *bounds, *values]
    if not kept:
        return Asked((sums, wanted), None, ((), len(groups)))
    completed = f" and d.outcome = '{Outcome.COMPLETED}'" if question.completed_times else ""
    columns = ", ".join(kept)
    distributions = query(
        "rollup_distributions",
        dialect,
        slot=slot,
        distributions=", ".join(f"r.{name}" for name in kept),
        groups=", ".join(groups) or "null",
        segments=_UNION.join(
            query("rollup_distributions_segment", table=part.table, distributions=columns) for part in found
        ),
        filter=f"true{conditions}{completed}",
    )
    return Asked((sums, wanted), (distributions, wanted), (kept, len(groups)))


def answers(
    sums: Iterable[Sequence[Any]],
    distributions: Iterable[Sequence[Any]],
    columns: tuple[tuple[str, ...], int],
) -> list[RollupAnswer]:
    """Each sum with the histograms of its slot and group added up."""
    kept, width = columns
    groups: dict[tuple[Any, ...], list[Sequence[Any]]] = {}
    after = 1 + len(kept)
    for row in distributions:
        groups.setdefault((row[0], *row[after : after + width]), []).append(row)
    found: list[RollupAnswer] = []
    for row in sums:
        group = tuple(row[_AFTER_SUMS : _AFTER_SUMS + width])
        rows = groups.get((row[0], *group))
        times = NO_DISTRIBUTIONS if rows is None else _merged(rows, kept)
        found.append(RollupAnswer(row[0], group, Cell(Sums._make(row[1:_AFTER_SUMS]), times)))
    return found


def _merged(rows: Sequence[Sequence[Any]], kept: Sequence[str]) -> Distributions:
    return Distributions(**{name: merge([row[place] for row in rows]) for place, name in enumerate(kept, 1)})

"""A question about roll-ups as SQL, and the rows found as answers: the same for every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weir.metrics_api.metrics import dimension
from weir.metrics_api.metrics.fates import Fates
from weir.metrics_api.metrics.histogram import merge
from weir.metrics_api.metrics.measure import NO_DISTRIBUTIONS, NO_SUMS, Cell, Distributions, Sums
from weir.metrics_api.storage import fates_sql, filtering
from weir.metrics_api.storage.port import MEASURES, RollupAnswer
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.rollup_tables import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from weir.metrics_api.storage.port import RollupQuestion
    from weir.metrics_api.storage.queries import Dialect
    from weir.metrics_api.storage.rollup_tables import Part

_AFTER_SUMS: Final = 1 + len(Sums._fields)
_AFTER_FATES: Final = _AFTER_SUMS + len(Fates._fields)
_AFTER_SIGN: Final = 2
"""Behind the time slot and whether it is to be added or taken away."""
_UNION: Final = "\nunion all\n"


class Asked(NamedTuple):
    """What a question asks of the database: a text with its values for the sums, one for the histograms."""

    sums: tuple[str, list[Any]] | None
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
    columns = kept, len(groups)
    sums = distributions = None
    if question.measures:
        text = query(
            "rollups",
            dialect,
            slot=slot,
            sums=",\n  ".join(_sum(name) if name in question.measures else "0" for name in MEASURES),
            group_sums=",\n    ".join(_group_sum(name) for name in question.measures),
            groups=", ".join(groups) or "null",
            fates=fates_sql.OF_COMBINATION,
            segments=_summed(question, found),
            filter=conditions,
        )
        sums = text, [*values, *slot_values, *bounds]
    if kept:
        completed = f"\n  and {fates_sql.COMPLETED}" if question.completed_times else ""
        text = query(
            "rollup_distributions",
            dialect,
            slot=slot,
            distributions=", ".join(f"r.{name}" for name in kept),
            groups=", ".join(groups) or "null",
            segments=_segments(found, lambda part: (f"{part.sign} as sign", *kept)),
            filter=_matching(completed + conditions),
        )
        distributions = text, [*slot_values, *bounds, *values]
    return Asked(sums, distributions, columns)


def _stored(measures: Sequence[str]) -> list[str]:
    """The columns that these are counted from."""
    wanted = {fates_sql.COUNTED[name][0] if name in fates_sql.COUNTED else name for name in measures}
    return [name for name in Sums._fields if name in wanted]


def _sum(measure: str) -> str:
    return f"cast(coalesce(r.{measure}, 0) as bigint)"


def _group_sum(measure: str) -> str:
    if measure not in fates_sql.COUNTED:
        return f"sum(r.{measure}) as {measure}"
    column, condition = fates_sql.COUNTED[measure]
    return f"sum(r.{column}) filter (where wanted.{condition}) as {measure}"


def _summed(question: RollupQuestion, found: Sequence[Part]) -> str:
    """The rows of the sums; without time slots those of a combination added up first, as few are left."""
    stored = _stored(question.measures)
    segments = _segments(
        found, lambda part: stored if part.sign > 0 else [f"-{name} as {name}" for name in stored]
    )
    if question.slot is not None:
        return segments
    sums = ", ".join(f"sum(r.{name}) as {name}" for name in stored)
    return query("rollups_by_combination", sums=sums, segments=segments)


def _segments(found: Sequence[Part], columns: Callable[[Part], Iterable[str]]) -> str:
    return _UNION.join(
        query("rollup_segment", table=part.table, columns=",\n  ".join(columns(part))) for part in found
    )


def _matching(conditions: str) -> str:
    return query("rollup_matching", filter=conditions) if conditions else ""


def answers(
    sums: Iterable[Sequence[Any]] | None,
    distributions: Iterable[Sequence[Any]],
    columns: tuple[tuple[str, ...], int],
) -> list[RollupAnswer]:
    """Each sum with the histograms of its slot and group added up; without sums, these alone."""
    kept, width = columns
    times = _times(distributions, kept, width)
    if sums is None:
        return [RollupAnswer(key[0], key[1:], Cell(NO_SUMS, merged)) for key, merged in times.items()]
    end = _AFTER_FATES + width
    found: list[RollupAnswer] = []
    for row in sums:
        group = tuple(row[_AFTER_FATES:end])
        cell = Cell(Sums._make(row[1:_AFTER_SUMS]), times.get((row[0], *group), NO_DISTRIBUTIONS))
        found.append(RollupAnswer(row[0], group, cell, Fates._make(row[_AFTER_SUMS:_AFTER_FATES])))
    return found


def _times(
    rows: Iterable[Sequence[Any]], kept: Sequence[str], width: int
) -> dict[tuple[Any, ...], Distributions]:
    """The histograms added up by slot and group."""
    after = _AFTER_SIGN + len(kept)
    end = after + width
    groups: dict[tuple[Any, ...], list[Sequence[Any]]] = {}
    for row in rows:
        groups.setdefault((row[0], *row[after:end]), []).append(row)
    return {key: _merged(rows, kept) for key, rows in groups.items()}


def _merged(rows: Sequence[Sequence[Any]], kept: Sequence[str]) -> Distributions:
    less = [row for row in rows if row[1] < 0]
    more = [row for row in rows if row[1] > 0] if less else rows
    merged = {name: merge([row[place] for row in more]) for place, name in enumerate(kept, _AFTER_SIGN)}
    if less:
        for place, name in enumerate(kept, _AFTER_SIGN):
            merged[name] = merged[name].without(merge([row[place] for row in less]))
    return Distributions(**merged)

"""Series: metrics over time, columnar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.aggregate import COMPLETED_ONLY, Aggregate
from weir.metrics_api.reports.source import source_for
from weir.metrics_api.reports.time_range import ceil, finest_kept, floor, level_for, step_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.metrics_api.metrics.metric import Metric, Value
    from weir.metrics_api.reports.source import Sums
    from weir.metrics_api.storage.port import Filter, Kept, Store, Window

MOST_GROUPS: Final = 12
MOST_METRICS: Final = 20
ALL: Final = "all"
OTHER: Final = "other"
INGEST_LAG_MS: Final = 1000
"""Records of a bucket may still be on their way for so long after its end."""


@dataclass(frozen=True, slots=True)
class SeriesQuestion:
    window: Window
    wanted: Filter
    metrics: tuple[Metric, ...]
    by: str | None
    step_ms: int | None
    now_ms: int


async def series(store: Store, question: SeriesQuestion, retention: Mapping[Kept, float]) -> dict[str, Any]:
    """The answer as documented for `/api/series`.

    Raises:
        InvalidRangeError: the step does not fit the range.
    """
    window, by = question.window, question.by
    source = source_for(store, question.wanted, by, question.now_ms, retention)
    step = step_for(window, finest_kept(window.start / 1000, question.now_ms, retention), question.step_ms)
    origin = floor(window.start / 1000, step)
    points = (ceil(window.end / 1000, step) - origin) // step
    kept = {metric.distribution for metric in question.metrics if metric.distribution}
    sums = await source.sums(
        window,
        ("outcome", *((by,) if by else ())),
        slots=(origin, step),
        distributions=tuple(kept),
        level=level_for(step),
        completed_times=_timed(question) is not None,
    )
    groups = _largest(_by_group(sums, question, points))
    return {
        "t0": origin * 1000,
        "step": step * 1000,
        "source": sums.source,
        "complete": sums.complete,
        "complete_until": min(window.end, question.now_ms - INGEST_LAG_MS),
        "series": {
            metric.slug: {name: _values(metric, course, step) for name, course in groups.items()}
            for metric in question.metrics
        },
    }


def _timed(question: SeriesQuestion) -> frozenset[str] | None:
    """The outcomes whose times count; None for all."""
    return None if question.wanted.outcome or question.by == "outcome" else COMPLETED_ONLY


def _by_group(sums: Sums, question: SeriesQuestion, points: int) -> dict[str | None, dict[int, Aggregate]]:
    """Aggregates by group and point; without grouping the one group is there even when it is empty."""
    timed = _timed(question)
    found: dict[str | None, dict[int, Aggregate]] = {} if question.by else {ALL: {}}
    for answer in sums.answers:
        outcome, *rest = answer.group
        group = None if rest and rest[0] is None else str(rest[0]) if rest else ALL
        if 0 <= answer.slot < points:
            aggregate = found.setdefault(group, {}).setdefault(answer.slot, Aggregate())
            aggregate.add(str(outcome), answer.cell, timed)
    for course in found.values():
        for point in range(points):
            course.setdefault(point, Aggregate())
    return found


def _largest(groups: dict[str | None, dict[int, Aggregate]]) -> dict[str, dict[int, Aggregate]]:
    """The groups with the most requests, the rest summed up as OTHER."""
    sizes = {group: sum(part.sums.requests for part in course.values()) for group, course in groups.items()}
    ordered = sorted(groups, key=lambda group: (-sizes[group], str(group)))
    found = {_label(group): groups[group] for group in ordered[:MOST_GROUPS]}
    rest = ordered[MOST_GROUPS:]
    if rest:
        other = found[OTHER] = {point: Aggregate() for point in groups[rest[0]]}
        for group in rest:
            for point, aggregate in groups[group].items():
                other[point].absorb(aggregate)
    return found


def _label(group: str | None) -> str:
    """JSON has no null key; requests without a value of the dimension are filed under the empty string."""
    return "" if group is None else group


def _values(metric: Metric, course: dict[int, Aggregate], step: int) -> list[Value]:
    return [metric.compute(course[point], step) for point in range(len(course))]

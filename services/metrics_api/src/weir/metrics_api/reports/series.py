"""Series: metrics over time, columnar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.aggregate import NOTHING, Aggregate
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
Group = str | None
Course = dict[int, Aggregate]
"""By point; where nothing happened there is none."""


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
    sums = await source.sums(
        window,
        (by,) if by else (),
        slots=(origin, step),
        measures=_measures(question),
        distributions=tuple({metric.distribution for metric in question.metrics if metric.distribution}),
        level=level_for(step),
        completed_times=by != "outcome" and not question.wanted.outcome,
    )
    groups = _largest(_by_group(sums, question, points))
    return {
        "t0": origin * 1000,
        "step": step * 1000,
        "source": sums.source,
        "complete": sums.complete,
        "complete_until": min(window.end, question.now_ms - INGEST_LAG_MS),
        "series": {
            metric.slug: {name: _values(metric, course, points, step) for name, course in groups.items()}
            for metric in question.metrics
        },
    }


def _measures(question: SeriesQuestion) -> tuple[str, ...]:
    """What the metrics need, and what tells which groups are largest."""
    wanted = {measure for metric in question.metrics for measure in metric.measures}
    if question.by:
        wanted.add("requests")
    return tuple(sorted(wanted))


def _by_group(sums: Sums, question: SeriesQuestion, points: int) -> dict[Group, Course]:
    """Aggregates by group and point; without grouping the one group is there even when it is empty."""
    found: dict[Group, Course] = {} if question.by else {ALL: {}}
    for slot, group, cell, fates in sums.answers:
        name = group[0] if group else ALL
        if 0 <= slot < points:
            found.setdefault(None if name is None else str(name), {})[slot] = Aggregate(
                cell.sums, fates, cell.distributions
            )
    return found


def _largest(groups: dict[Group, Course]) -> dict[str, Course]:
    """The groups with the most requests, the rest summed up as OTHER."""
    sizes = {group: sum(part.sums.requests for part in course.values()) for group, course in groups.items()}
    ordered = sorted(groups, key=lambda group: (-sizes[group], str(group)))
    found = {_label(group): groups[group] for group in ordered[:MOST_GROUPS]}
    rest = ordered[MOST_GROUPS:]
    if rest:
        other: Course = {}
        found[OTHER] = other
        for group in rest:
            for point, aggregate in groups[group].items():
                other.setdefault(point, Aggregate()).absorb(aggregate)
    return found


def _label(group: str | None) -> str:
    """JSON has no null key; requests without a value of the dimension are filed under the empty string."""
    return "" if group is None else group


def _values(metric: Metric, course: Course, points: int, step: int) -> list[Value]:
    compute = metric.compute
    values = [compute(NOTHING, step)] * points
    for point, aggregate in course.items():
        values[point] = compute(aggregate, step)
    return values

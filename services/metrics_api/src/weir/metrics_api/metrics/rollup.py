"""Folding of records into roll-up cells. The same records in any order and any batches give the same sums."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from weir.events import UsageSource
from weir.metrics_api.metrics.dimension import PRODUCTION, Dimensions
from weir.metrics_api.metrics.histogram import Histogram
from weir.metrics_api.metrics.measure import Cell, Distributions, Sums, tokens_per_second

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from weir.events import RequestEvent

Cells = dict[tuple[int, Dimensions], Cell]
"""By start of the bucket, in seconds since the epoch, and dimensions."""

FINEST: Final = 5
"""Seconds of the finest bucket."""
_MICRO: Final = 1_000_000

raw_dimensions = attrgetter(
    "tenant", "project", "api_key_id", "provider", "upstream", "variant", "endpoint",
    "model", "model_requested", "stream", "outcome", "status_code",
)  # fmt: skip
_tokens = attrgetter(
    "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "request_bytes", "response_bytes",
)  # fmt: skip


def fold(events: Iterable[RequestEvent], step: int = FINEST) -> Cells:
    """The cells of these records, in buckets of `step` seconds of their own start."""
    groups: dict[tuple[Any, ...], list[RequestEvent]] = {}
    width = step * _MICRO
    for event in events:
        key = (event.started_at // width, raw_dimensions(event))
        group = groups.get(key)
        if group is None:
            groups[key] = [event]
        else:
            group.append(event)
    cells: Cells = {}
    for (bucket, raw), group in groups.items():
        key = (bucket * step, dimensions_from(raw))
        cell = measure(group)
        known = cells.get(key)
        cells[key] = cell if known is None else known.plus(cell)
    return cells


def coarsen(cells: Mapping[tuple[int, Dimensions], Cell], step: int) -> Cells:
    """The same cells in wider buckets."""
    groups: dict[tuple[int, Dimensions], list[Cell]] = {}
    for (bucket, dimensions), cell in cells.items():
        groups.setdefault((bucket - bucket % step, dimensions), []).append(cell)
    return {key: _total(group) for key, group in groups.items()}


def dimensions_of(event: RequestEvent) -> Dimensions:
    return dimensions_from(raw_dimensions(event))


def dimensions_from(raw: tuple[Any, ...]) -> Dimensions:
    (tenant, project, api_key_id, provider, upstream, variant, endpoint,
     model, model_requested, stream, outcome, status_code) = raw  # fmt: skip
    return Dimensions(
        tenant, project, api_key_id, provider, upstream, variant or PRODUCTION, endpoint,
        model_requested if model is None else model, stream, str(outcome), status_code,
    )  # fmt: skip


def measure(events: Sequence[RequestEvent]) -> Cell:
    """What the given records, all of the same dimensions, add up to."""
    columns = zip(*map(_tokens, events), strict=True)
    known = [[value for value in column if value is not None] for column in columns]
    sums = Sums(
        len(events),
        sum([event.retries for event in events]),
        sum([event.usage_source is UsageSource.REPORTED for event in events]),
        *(number for column in known for number in (sum(column), len(column))),
    )
    speeds = [speed for event in events if (speed := tokens_per_second(event)) is not None]
    return Cell(
        sums,
        Distributions(
            Histogram.of([1000 * e.duration_ms for e in events if e.duration_ms is not None]),
            Histogram.of(
                [1000 * e.time_to_first_token_ms for e in events if e.time_to_first_token_ms is not None]
            ),
            Histogram.of([1000 * speed for speed in speeds]),
        ),
    )


def _total(cells: Sequence[Cell]) -> Cell:
    total = cells[0]
    for cell in cells[1:]:
        total = total.plus(cell)
    return total

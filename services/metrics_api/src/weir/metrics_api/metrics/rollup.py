"""Folding of records into roll-up cells. The same records in any order and any batches give the same sums."""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from weir.events import UsageSource
from weir.metrics_api.metrics.dimension import PRODUCTION, Dimensions
from weir.metrics_api.metrics.histogram import Histogram
from weir.metrics_api.metrics.measure import Cell, Distributions, Sums, speed, total

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
_numbers = attrgetter(
    "stream", "usage_source", "duration_ms", "time_to_first_token_ms", "time_to_last_token_ms",
    "retries", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "request_bytes", "response_bytes",
)  # fmt: skip
_COMPLETION_TOKENS: Final = 1
"""Its place among what follows the retries."""


def fold(events: Iterable[RequestEvent], step: int = FINEST) -> Cells:
    """The cells of these records, in buckets of `step` seconds of their own start."""
    groups: defaultdict[tuple[Any, ...], list[RequestEvent]] = defaultdict(list)
    width = step * _MICRO
    for event in events:
        groups[event.started_at // width, raw_dimensions(event)].append(event)
    cells: Cells = {}
    for (bucket, raw), group in groups.items():
        key = (bucket * step, dimensions_from(raw))
        cell = measure(group)
        known = cells.get(key)
        cells[key] = cell if known is None else known.plus(cell)
    return cells


def coarsen(cells: Mapping[tuple[int, Dimensions], Cell], step: int) -> Cells:
    """The same cells in wider buckets."""
    groups: defaultdict[tuple[int, Dimensions], list[Cell]] = defaultdict(list)
    for (bucket, dimensions), cell in cells.items():
        groups[bucket - bucket % step, dimensions].append(cell)
    return {key: total(group) for key, group in groups.items()}


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
    """What the given records add up to."""
    columns = zip(*map(_numbers, events), strict=True)
    streams, sources, durations, firsts, lasts, retries, *counts = columns
    sums = [len(events), sum(retries), sources.count(UsageSource.REPORTED)]
    for column in counts:
        known = [value for value in column if value is not None] if None in column else column
        sums += (sum(known), len(known))
    speeds = map(speed, firsts, lasts, counts[_COMPLETION_TOKENS])
    return Cell(
        Sums._make(sums),
        Distributions(
            Histogram.of([1000 * value for value in durations if value is not None]),
            # What comes first of an answer that is not streamed comes when all of it is there.
            Histogram.of(
                [
                    1000 * value
                    for stream, value in zip(streams, firsts, strict=True)
                    if stream and value is not None
                ]
            ),
            Histogram.of([1000 * value for value in speeds if value is not None]),
        ),
    )

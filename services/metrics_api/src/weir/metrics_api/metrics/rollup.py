"""Folding of records into roll-up cells. The same records in any order and any batches give the same sums."""

from __future__ import annotations

from collections import defaultdict
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
_REPORTED: Final = UsageSource.REPORTED
_COMPLETION_TOKENS: Final = 1
"""Its place among the counts."""
_NONE: Final = Histogram()


class Folding:
    """Adds records up, however many at a time."""

    def __init__(self, step: int = FINEST) -> None:
        """`step`: seconds of a bucket."""
        self._step = step
        self._groups: defaultdict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)

    def add(self, events: Iterable[RequestEvent]) -> None:
        """Sort records by bucket and dimensions, of each only what is added up."""
        groups, width = self._groups, self._step * _MICRO
        for event in events:
            model = event.model
            groups[
                event.started_at // width,
                event.tenant,
                event.project,
                event.api_key_id,
                event.provider,
                event.upstream,
                event.variant or PRODUCTION,
                event.endpoint,
                event.model_requested if model is None else model,
                event.stream,
                event.outcome._value_,  # hashing a member of an enumeration is a call
                event.status_code,
            ].append(
                (
                    event.retries,
                    event.usage_source is _REPORTED,
                    event.prompt_tokens,
                    event.completion_tokens,
                    event.cache_read_tokens,
                    event.cache_write_tokens,
                    event.reasoning_tokens,
                    event.request_bytes,
                    event.response_bytes,
                    event.duration_ms,
                    event.time_to_first_token_ms,
                    event.time_to_last_token_ms,
                )
            )

    def combinations(self) -> set[Dimensions]:
        """Which combinations of dimensions there are among them."""
        return {Dimensions._make(values) for _, *values in self._groups}

    def cells(self) -> Cells:
        """What all of them add up to."""
        found: Cells = {}
        for (bucket, *values), group in self._groups.items():
            dimensions = Dimensions._make(values)
            found[bucket * self._step, dimensions] = _cell(group, streamed=bool(dimensions.stream))
        return found


def fold(events: Iterable[RequestEvent], step: int = FINEST) -> Cells:
    """The cells of these records, in buckets of `step` seconds of their own start."""
    folding = Folding(step)
    folding.add(events)
    return folding.cells()


def coarsen(cells: Mapping[tuple[int, Dimensions], Cell], step: int) -> Cells:
    """The same cells in wider buckets."""
    groups: defaultdict[tuple[int, Dimensions], list[Cell]] = defaultdict(list)
    for (bucket, dimensions), cell in cells.items():
        groups[bucket - bucket % step, dimensions].append(cell)
    return {key: total(group) for key, group in groups.items()}


def dimensions_of(event: RequestEvent) -> Dimensions:
    ((_, dimensions),) = fold([event])
    return dimensions


def measure(events: Iterable[RequestEvent]) -> Cell:
    """What at least one record adds up to."""
    return total([*fold(events).values()])


def _cell(numbers: Sequence[tuple[Any, ...]], *, streamed: bool) -> Cell:
    """Records of the same dimensions, as Folding keeps them, added up."""
    retries, reported, *counts, durations, firsts, lasts = zip(*numbers, strict=True)
    n = len(numbers)
    sums = [n, sum(retries), sum(reported)]
    for column in counts:
        if None in column:
            known = [value for value in column if value is not None]
            sums += sum(known), len(known)
        else:
            sums += sum(column), n
    return Cell(
        Sums._make(sums),
        Distributions(
            Histogram.of(_known(durations), 1000),
            # What comes first of an answer that is not streamed comes when all of it is there.
            Histogram.of(_known(firsts), 1000) if streamed else _NONE,
            Histogram.of(_known(map(speed, firsts, lasts, counts[_COMPLETION_TOKENS])), 1000),
        ),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]

"""Folding of records into roll-up cells. The same records in any order and any batches give the same sums."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from weir.events import UsageSource
from weir.metrics_api.metrics.columns import columns_of, model_filed
from weir.metrics_api.metrics.dimension import PRODUCTION, Dimensions
from weir.metrics_api.metrics.histogram import Histogram, bins_of
from weir.metrics_api.metrics.measure import Cell, Distributions, Sums, speeds, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from weir.events import RequestEvent
    from weir.metrics_api.metrics.columns import Columns

Cells = dict[tuple[int, Dimensions], Cell]
"""By start of the bucket, in seconds since the epoch, and dimensions."""

FINEST: Final = 5
"""Seconds of the finest bucket."""
_MICRO: Final = 1_000_000
_COUNTS: Final = (
    "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "request_bytes", "response_bytes",
)  # fmt: skip
"""In the order of Sums."""
_REPORTED: Final = UsageSource.REPORTED.value


def fold(events: Iterable[RequestEvent], step: int = FINEST) -> Cells:
    """The cells of these records, in buckets of `step` seconds of their own start."""
    return fold_columns(columns_of(events), step)


def fold_columns(columns: Columns, step: int = FINEST) -> Cells:
    """The same of records that are turned over already."""
    groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    width = step * _MICRO
    buckets = [started // width * step for started in columns["started_at"]]
    for place, key in enumerate(zip(buckets, *_dimensions(columns), strict=True)):
        groups[key].append(place)
    numbers = _Numbers(columns, [*chain.from_iterable(groups.values())])
    cells: Cells = {}
    start = 0
    for (bucket, *values), places in groups.items():
        end = start + len(places)
        cells[bucket, Dimensions._make(values)] = numbers.cell(start, end)
        start = end
    return cells


def coarsen(cells: Mapping[tuple[int, Dimensions], Cell], step: int) -> Cells:
    """The same cells in wider buckets."""
    groups: defaultdict[tuple[int, Dimensions], list[Cell]] = defaultdict(list)
    for (bucket, dimensions), cell in cells.items():
        groups[bucket - bucket % step, dimensions].append(cell)
    return {key: total(group) for key, group in groups.items()}


def combinations(columns: Columns) -> set[Dimensions]:
    """Which combinations of dimensions there are."""
    return {Dimensions._make(values) for values in set(zip(*_dimensions(columns), strict=True))}


def dimensions_of(event: RequestEvent) -> Dimensions:
    (dimensions,) = combinations(columns_of([event]))
    return dimensions


def measure(events: Sequence[RequestEvent]) -> Cell:
    """What the given records add up to."""
    return _Numbers(columns_of(events), range(len(events))).cell(0, len(events))


def _dimensions(columns: Columns) -> Iterator[Sequence[Any]]:
    """A column for each of the dimensions."""
    for name in Dimensions._fields:
        if name == "model":
            yield model_filed(columns)
        elif name == "variant":
            yield [variant or PRODUCTION for variant in columns[name]]
        else:
            yield columns[name]


class _Numbers:
    """What is added up, in columns in which the records of each cell stand together."""

    def __init__(self, columns: Columns, order: Sequence[int]) -> None:
        """`order`: the places of the records in the columns."""

        def ordered(name: str) -> Sequence[Any]:
            column = columns[name]
            return itemgetter(*order)(column) if len(order) > 1 else [column[place] for place in order]

        self._retries = ordered("retries")
        self._sources = ordered("usage_source")
        self._counts = [(column, _without_none(column)) for column in map(ordered, _COUNTS)]
        firsts, lasts = ordered("time_to_first_token_ms"), ordered("time_to_last_token_ms")
        # What comes first of an answer that is not streamed comes when all of it is there.
        ttft = [first if stream else None for stream, first in zip(ordered("stream"), firsts, strict=True)]
        self._bins = (
            bins_of(ordered("duration_ms"), 1000),
            bins_of(ttft, 1000),
            bins_of(speeds(firsts, lasts, ordered("completion_tokens")), 1000),
        )

    def cell(self, start: int, end: int) -> Cell:
        """Of the records from one place in the order up to another."""
        n = end - start
        sums = [n, sum(self._retries[start:end]), self._sources[start:end].count(_REPORTED)]
        for column, numbers in self._counts:
            sums += sum(numbers[start:end]), n if column is numbers else n - column[start:end].count(None)
        return Cell(
            Sums._make(sums), Distributions._make([Histogram.of_bins(bins[start:end]) for bins in self._bins])
        )


def _without_none(column: Sequence[int | None]) -> Sequence[int]:
    """The same where there is none; else with 0 in its place, which adds nothing."""
    return [number or 0 for number in column] if None in column else column  # pyright: ignore[reportReturnType] - it has none

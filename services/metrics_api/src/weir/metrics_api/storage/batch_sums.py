"""What a batch of records adds to every table of sums. Pure: it runs beside what writes the rows."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson

from weir.metrics_api.metrics import snapshot
from weir.metrics_api.metrics.histogram import Histogram, merge_two
from weir.metrics_api.metrics.measure import total
from weir.metrics_api.metrics.snapshot import NO_TOTALS, Delta, Totals, deltas, rates_of
from weir.metrics_api.storage.port import SECONDS, StoredSnapshot
from weir.metrics_api.storage.position import BUCKET_BITS
from weir.metrics_api.storage.rollup_tables import BRIEF_SECONDS, LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weir.metrics_api.metrics.dimension import Dimensions
    from weir.metrics_api.metrics.measure import Cell
    from weir.metrics_api.metrics.rollup import Cells
    from weir.metrics_api.storage.port import SnapshotLevel

SNAPSHOT_LEVELS: Final[tuple[SnapshotLevel, ...]] = ("5s", "1m")
Histograms = tuple[bytes | None, ...]
_DIMENSIONS: Final = (1 << BUCKET_BITS) - 1
_SHARES: Final = (0.5, 0.95, 0.99)


class SnapshotSums(NamedTuple):
    """What a batch adds to snapshots and running totals."""

    buckets: dict[SnapshotLevel, dict[tuple[int, str], Delta]]
    totals: dict[str, Totals]


def snapshot_sums(cells: Cells) -> SnapshotSums:
    """The snapshots of folded records, by bucket and variant."""
    by_bucket = deltas(cells)
    by_minute = snapshot.coarsen(by_bucket, SECONDS["1m"])
    totals: dict[str, Totals] = {}
    for (_, variant), delta in by_minute.items():
        totals[variant] = totals.get(variant, NO_TOTALS).plus(delta.totals)
    return SnapshotSums({"5s": by_bucket, "1m": by_minute}, dict(sorted(totals.items())))


def rollups(cells: Cells, ids: Mapping[Dimensions, int]) -> dict[str, dict[int, Cell]]:
    """Rows of every roll-up table by their ids. Combinations that are no longer counted apart share one."""
    combinations = {dimensions for _, dimensions in cells}
    brief = {ids[dimensions]: ids[dimensions.brief()] for dimensions in combinations}
    finest = _total(
        (bucket << BUCKET_BITS | ids[dimensions], cell) for (bucket, dimensions), cell in cells.items()
    )
    found = _levels("rollup_5s", finest, {f"rollup_{level}": SECONDS[level] for level in LEVELS[1:]})
    minutes = found["rollup_1m"]
    of_few = _total(
        (place >> BUCKET_BITS << BUCKET_BITS | brief[place & _DIMENSIONS], cell)
        for place, cell in minutes.items()
    )
    wider = {f"rollup_{level}_brief": seconds for level, seconds in BRIEF_SECONDS.items() if level != "1m"}
    return found | _levels("rollup_1m_brief", of_few, wider)


def _levels(table: str, finest: dict[int, Cell], wider: Mapping[str, int]) -> dict[str, dict[int, Cell]]:
    """The finest buckets in their table, and each table of wider ones made of the one before."""
    found = {table: finest}
    finer = finest
    for coarser, seconds in wider.items():
        finer = found[coarser] = _total(
            (_bucket_around(place, seconds), cell) for place, cell in finer.items()
        )
    return found


def _bucket_around(place: int, seconds: int) -> int:
    bucket = place >> BUCKET_BITS
    return bucket - bucket % seconds << BUCKET_BITS | place & _DIMENSIONS


def _total(rows: Iterable[tuple[int, Cell]]) -> dict[int, Cell]:
    """Rows of the same id added up."""
    groups: defaultdict[int, list[Cell]] = defaultdict(list)
    for place, cell in rows:
        groups[place].append(cell)
    return {place: total(group) for place, group in groups.items()}


def numbers(cell: Cell, stored: Histograms | None = None) -> tuple[int | bytes | None, ...]:
    """A roll-up row but for its key: sums to add, and histograms that hold what is stored already."""
    histograms = [histogram.to_bytes() or None for histogram in cell.distributions]
    return (*cell.sums, *(histograms if stored is None else merged(stored, histograms)))


def merged(these: Iterable[bytes | None], those: Iterable[bytes | None]) -> Histograms:
    """Stored histograms added up, each with its counterpart."""
    return tuple(
        [
            (other if one is None else one) if one is None or other is None else merge_two(one, other)
            for one, other in zip(these, those, strict=True)
        ]
    )


def delta_of(row: Sequence[Any]) -> Delta:
    """What snapshot_parts has found of a snapshot."""
    latency = Histogram.from_bytes(row[16] or b"")
    requests, errors, *totals = row[:12]
    asked, asked_n, answered, answered_n = row[12:16]
    return Delta(
        Totals._make(totals), requests, errors, asked, asked_n, answered, answered_n,
        latency, orjson.loads(row[17]),
    )  # fmt: skip


def snapshot_row(
    bucket: int, variant: str, delta: Delta, level: SnapshotLevel, stored: Delta | None = None
) -> tuple[Any, ...]:
    """The parameters of snapshot_add: what cannot be added in SQL is added to what is stored here."""
    whole = delta
    if stored is not None:
        whole = stored
        whole.absorb(delta)
    shares = percentiles(whole.latency)
    return (
        bucket,
        variant,
        delta.requests,
        delta.errors,
        *delta.totals,
        delta.request_bytes,
        delta.request_bytes_n,
        delta.response_bytes,
        delta.response_bytes_n,
        whole.latency.to_bytes() or None,
        *shares,
        orjson.dumps(whole.status_codes).decode(),
        _rates(bucket, variant, whole, shares) if level == "1m" else None,
    )


def _rates(bucket: int, variant: str, delta: Delta, shares: Sequence[float | None]) -> str:
    """What is answered of the bucket alone, as JSON without braces."""
    p50, p95, p99 = shares
    snapshot = StoredSnapshot(
        bucket, variant, delta.totals, delta.requests, delta.errors,
        delta.request_bytes, delta.request_bytes_n, delta.response_bytes, delta.response_bytes_n,
        p50, p95, p99, delta.status_codes, None, None,
    )  # fmt: skip
    return msgspec.json.encode(rates_of(snapshot, SECONDS["1m"]))[1:-1].decode()


def percentiles(latency: Histogram) -> list[float | None]:
    """p50, p95 and p99 in ms of a histogram of µs."""
    return [None if us is None else round(us / 1000, 3) for us in latency.quantiles(*_SHARES)]

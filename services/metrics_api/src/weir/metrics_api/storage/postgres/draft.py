"""What a batch of records comes to before the database is asked. Pure: it runs beside the event loop."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from weir.metrics_api.metrics import snapshot
from weir.metrics_api.metrics.histogram import Histogram, merge_two
from weir.metrics_api.metrics.rollup import coarsen, dimensions_from, fold, raw_dimensions
from weir.metrics_api.metrics.snapshot import NO_TOTALS, Totals, deltas
from weir.metrics_api.storage.port import SECONDS
from weir.metrics_api.storage.position import BUCKET_BITS, position
from weir.metrics_api.storage.postgres.partitions import Month, month_of
from weir.metrics_api.storage.request_row import to_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.metrics.dimension import Dimensions
    from weir.metrics_api.metrics.measure import Cell, Sums
    from weir.metrics_api.metrics.rollup import Cells
    from weir.metrics_api.metrics.snapshot import Delta
    from weir.metrics_api.storage.port import Level, SnapshotLevel

Histograms = tuple[bytes | None, ...]
_COARSER: Final[tuple[Level, ...]] = ("1m", "1h", "1d")
_texts = attrgetter(
    "model", "model_requested", "tenant", "project", "api_key_id", "user", "provider", "upstream", "variant",
    "endpoint", "proxy_id", "error_type", "finish_reason",
)  # fmt: skip


class Draft(NamedTuple):
    """A batch, each request once, in the order of their ids: everybody inserts in this order, so that two
    processes with the same records wait for one another and never in a circle.
    """

    events: dict[bytes, RequestEvent]
    names: set[str | None]
    months: set[Month | None]
    combinations: set[Dimensions]


class StoredCell(NamedTuple):
    """A roll-up row but for its key."""

    sums: Sums
    histograms: Histograms

    def plus(self, other: StoredCell) -> StoredCell:
        return StoredCell(self.sums.plus(other.sums), merged(self.histograms, other.histograms))


class SumsOfBatch(NamedTuple):
    """What a batch adds to every table of sums."""

    rollups: dict[Level, dict[int, StoredCell]]
    """By roll-up id."""
    snapshots: dict[SnapshotLevel, dict[tuple[int, str], Delta]]
    totals: dict[str, Totals]


def key(event: RequestEvent) -> bytes:
    """The request's id as the database holds it."""
    return bytes.fromhex(event.request_id.replace("-", ""))


def draft(events: Sequence[RequestEvent]) -> Draft:
    """Of a request that comes twice the first telling stands."""
    unique: dict[bytes, RequestEvent] = {}
    for event in events:
        unique.setdefault(key(event), event)
    ordered = dict(sorted(unique.items()))
    return Draft(
        ordered,
        set().union(*{_texts(event) for event in events}),
        {month_of(request_id) for request_id in ordered},
        {dimensions_from(raw) for raw in {raw_dimensions(event) for event in events}},
    )


def rows(
    events: Mapping[bytes, RequestEvent], names: Mapping[str | None, int | None]
) -> list[tuple[Any, ...]]:
    """Rows in the order of writing.COLUMNS."""
    return [
        (
            *to_row(event, position(event.started_at, request_id), request_id, names),
            names[event.model_requested if event.model is None else event.model],
        )
        for request_id, event in events.items()
    ]


def sums(events: Iterable[RequestEvent], ids: Mapping[Dimensions, int]) -> SumsOfBatch:
    """What records add up to at every level, with the ids of their combinations of dimensions."""
    cells = fold(events)
    levels: dict[Level, Cells] = {"5s": cells}
    finer = cells
    for level in _COARSER:
        finer = levels[level] = coarsen(finer, SECONDS[level])
    by_bucket = deltas(cells)
    by_minute = snapshot.coarsen(by_bucket, SECONDS["1m"])
    totals: dict[str, Totals] = {}
    for (_, variant), delta in by_minute.items():
        totals[variant] = totals.get(variant, NO_TOTALS).plus(delta.totals)
    return SumsOfBatch(
        {level: _stored(found, ids) for level, found in levels.items()},
        {"5s": by_bucket, "1m": by_minute},
        dict(sorted(totals.items())),
    )


def _stored(cells: Cells, ids: Mapping[Dimensions, int]) -> dict[int, StoredCell]:
    """Combinations that are no longer counted apart share an id."""
    found: dict[int, StoredCell] = {}
    for (bucket, dimensions), cell in cells.items():
        place = bucket << BUCKET_BITS | ids[dimensions]
        stored = _stored_cell(cell)
        known = found.get(place)
        found[place] = stored if known is None else known.plus(stored)
    return found


def _stored_cell(cell: Cell) -> StoredCell:
    return StoredCell(cell.sums, tuple(each.to_bytes() or None for each in cell.distributions))


def merged(these: Iterable[bytes | None], those: Iterable[bytes | None]) -> Histograms:
    """Stored histograms added up, each with its counterpart."""
    return tuple(
        (other if one is None else one) if one is None or other is None else merge_two(one, other)
        for one, other in zip(these, those, strict=True)
    )


def snapshot_row(
    bucket: int, variant: str, shard: int, delta: Delta, stored: tuple[bytes | None, str] | None
) -> tuple[Any, ...]:
    """The parameters of snapshot_add: what cannot be added in SQL is added to what is stored here."""
    latency: Histogram = delta.latency
    codes = dict(delta.status_codes)
    if stored is not None:
        if stored[0] is not None:
            latency = Histogram.from_bytes(stored[0]) + latency
        for code, number in orjson.loads(stored[1]).items():
            codes[code] = codes.get(code, 0) + number
    return (
        bucket,
        variant,
        shard,
        delta.requests,
        delta.errors,
        *delta.totals,
        delta.request_bytes,
        delta.request_bytes_n,
        delta.response_bytes,
        delta.response_bytes_n,
        latency.to_bytes() or None,
        *percentiles(latency),
        orjson.dumps(codes).decode(),
    )


def percentiles(latency: Histogram) -> tuple[float | None, float | None, float | None]:
    """p50, p95 and p99 in ms of a histogram of µs."""
    return _ms(latency.quantile(0.5)), _ms(latency.quantile(0.95)), _ms(latency.quantile(0.99))


def _ms(us: float | None) -> float | None:
    return None if us is None else round(us / 1000, 3)

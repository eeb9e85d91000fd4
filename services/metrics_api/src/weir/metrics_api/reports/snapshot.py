"""MetricSnapshots and the status that is read off the newest ones."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from operator import sub
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weir.events import Outcome
from weir.metrics_api.metrics.dimension import PRODUCTION
from weir.metrics_api.metrics.metric import percent
from weir.metrics_api.metrics.snapshot import NO_TOTALS, MetricSnapshot, Totals, rates_of, utilization
from weir.metrics_api.storage.port import (
    SECONDS,
    Filter,
    Minutes,
    RollupQuestion,
    Segment,
    StoredSnapshot,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.metrics_api.storage.port import SnapshotQueries, Store

RANGES: Final = {"5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800}
FINE_UP_TO: Final = 3600
"""Longer ranges read the 1 min table."""
STATUS_SECONDS: Final = 60
"""The status tells the last minute: 5 s alone would jump."""
UNHEALTHY_PCT: Final = 5.0


async def snapshots(store: SnapshotQueries, seconds: int, variant: str | None, now_ms: int) -> bytes:
    """The MetricSnapshots of a range as JSON, oldest first; none of a bucket in which nothing happened.

    A week has ten thousand of each variant. So minutes are stored as they are answered, all but the totals.
    """
    width = SECONDS["5s"] if seconds <= FINE_UP_TO else SECONDS["1m"]
    start = (now_ms // 1000 - seconds) // width * width
    if seconds <= FINE_UP_TO:
        stored = await store.snapshots("5s", start)
        wanted = [row for row in stored.rows if variant in {None, row.variant}]
        found = Minutes([], wanted, stored.totals)
    else:
        found = await store.minutes(start, variant)
    return await asyncio.to_thread(_array, found, width, now_ms)


def _array(found: Minutes, width: int, now_ms: int) -> bytes:
    """Newest first, because the running totals are known of the end."""
    running = dict(found.totals)
    texts: list[str] = []
    for row in reversed(found.after):
        totals = running.get(row.variant, NO_TOTALS)
        running[row.variant] = totals.minus(row.totals)
        if row.bucket * 1000 <= now_ms:
            texts.append(msgspec.json.encode(snapshot(row, totals, width)).decode())
    now: dict[str, tuple[int, ...]] = {**running}
    names = {variant: msgspec.json.encode(variant).decode() for variant in {row[1] for row in found.rows}}
    latest = now_ms // 1000
    for row in found.rows:
        bucket, variant = row[0], row[1]
        totals = now.get(variant, NO_TOTALS)
        now[variant] = tuple(map(sub, totals, row[_TOTALS]))
        if bucket <= latest:
            gauges = _gauges(row[_GAUGES], row[_GAUGES + 1])
            texts.append(_MINUTE % (bucket, names[variant], *totals, gauges, row[-1] or _NO_RATES))
    texts.reverse()
    return f"[{','.join(texts)}]".encode()


@lru_cache(maxsize=4096)
def _gauges(in_flight: int | None, limit: int | None) -> str:
    share = utilization(in_flight, limit)
    return _members({"concurrent_requests": in_flight, "max_workers": limit, "worker_utilization": share})


def _members(of: Any) -> str:
    """The members of a JSON object, without its braces."""
    return msgspec.json.encode(of)[1:-1].decode()


async def complete_snapshots(store: SnapshotQueries, bucket: int) -> list[MetricSnapshot]:
    """Of every variant seen, the snapshot of one 5 s bucket, also when nothing happened in it."""
    stored = await store.snapshots("5s", bucket)
    running = dict(stored.totals)
    running.setdefault(PRODUCTION, NO_TOTALS)
    rows = {variant: _nothing(bucket, variant) for variant in running}
    for row in stored.rows:
        if row.bucket == bucket:
            rows[row.variant] = row
        else:
            running[row.variant] = running[row.variant].minus(row.totals)
    return [snapshot(row, running[variant], SECONDS["5s"]) for variant, row in sorted(rows.items())]


async def variants(store: SnapshotQueries, now_ms: int) -> list[str]:
    """Every variant ever seen, production always, first."""
    stored = await store.snapshots("5s", now_ms // 1000 + SECONDS["1h"])
    return sorted({PRODUCTION, *stored.totals}, key=lambda variant: (variant != PRODUCTION, variant))


async def status(store: Store, now_ms: int) -> dict[str, dict[str, Any]]:
    """Each variant over the last minute, as documented for `/api/status`."""
    now = now_ms // 1000
    minute = Segment("5s", now - now % 5 - STATUS_SECONDS, now - now % 5 + SECONDS["5s"])
    completed = Filter(outcome=(Outcome.COMPLETED.value,))
    stored, latencies = await asyncio.gather(
        store.snapshots("5s", minute.start),
        store.rollups(RollupQuestion((minute,), completed, ("variant",), distributions=("latency",))),
    )
    medians = {answer.group[0]: answer.cell.distributions.latency.quantile(0.5) for answer in latencies}
    seen = sorted({PRODUCTION, *stored.totals}, key=lambda variant: (variant != PRODUCTION, variant))
    return {
        variant: _status(
            [row for row in stored.rows if row.variant == variant and row.bucket <= now], medians.get(variant)
        )
        for variant in seen
    }


def snapshot(row: StoredSnapshot, totals: Totals, seconds: int) -> MetricSnapshot:
    """What is stored, with the running totals at the bucket's end."""
    in_flight, limit = row.concurrent_requests, row.max_workers
    return MetricSnapshot(
        timestamp=row.bucket * 1000,
        variant=row.variant,
        **totals._asdict(),
        concurrent_requests=in_flight,
        max_workers=limit,
        worker_utilization=utilization(in_flight, limit),
        **msgspec.structs.asdict(rates_of(row, seconds)),
    )


def _status(rows: Sequence[StoredSnapshot], median_us: float | None) -> dict[str, Any]:
    newest = rows[-1] if rows else None
    requests = sum(row.requests for row in rows)
    error_rate = percent(sum(row.errors for row in rows), requests)
    gauges = next((row for row in reversed(rows) if row.max_workers is not None), None)
    return {
        "healthy": error_rate is None or error_rate < UNHEALTHY_PCT,
        "last_scrape": None if newest is None else newest.bucket * 1000,
        "req_rate": requests / STATUS_SECONDS,
        "error_rate_pct": error_rate,
        "latency_p50_ms": None if median_us is None else round(median_us / 1000, 3),
        "concurrent": None if gauges is None else gauges.concurrent_requests,
        "worker_utilization": None
        if gauges is None
        else utilization(gauges.concurrent_requests, gauges.max_workers),
        "rate_limit_rps": None,
        "token_rate_in": sum(row.totals.tokens_input for row in rows) / STATUS_SECONDS,
        "token_rate_out": sum(row.totals.tokens_output for row in rows) / STATUS_SECONDS,
    }


def _nothing(bucket: int, variant: str) -> StoredSnapshot:
    return StoredSnapshot(
        bucket, variant, NO_TOTALS, 0, 0, 0, 0, 0, 0, None, None, None, {}, None, None
    )  # fmt: skip


_TOTALS: Final = slice(2, 2 + len(Totals._fields))
"""Their places in a MinuteRow."""
_GAUGES: Final = _TOTALS.stop
_MINUTE: Final = (
    '{"timestamp":%d000,"variant":%s,'
    + "".join(f'"{name}":%d,' for name in Totals._fields)
    + '"rate_limit_rps":null,"rate_limit_adj_increase":0,"rate_limit_adj_decrease":0,%s,%s}'
)
"""A MetricSnapshot; its parts are those of a MinuteRow."""
_NO_RATES: Final = _members(rates_of(_nothing(0, PRODUCTION), SECONDS["1m"]))

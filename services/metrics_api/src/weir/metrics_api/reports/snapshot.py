"""MetricSnapshots and the status that is read off the newest ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from weir.events import Outcome
from weir.metrics_api.metrics.dimension import PRODUCTION
from weir.metrics_api.metrics.metric import percent
from weir.metrics_api.metrics.snapshot import NO_TOTALS, MetricSnapshot, Totals
from weir.metrics_api.storage.port import (
    SECONDS,
    Filter,
    RollupQuestion,
    Segment,
    SnapshotLevel,
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


async def snapshots(
    store: SnapshotQueries, seconds: int, variant: str | None, now_ms: int
) -> list[MetricSnapshot]:
    """The snapshots of a range, oldest first. A bucket in which nothing happened has none."""
    level: SnapshotLevel = "5s" if seconds <= FINE_UP_TO else "1m"
    width = SECONDS[level]
    start = (now_ms // 1000 - seconds) // width * width
    stored = await store.snapshots(level, start)
    running = dict(stored.totals)
    found: list[MetricSnapshot] = []
    for row in reversed(stored.rows):
        totals = running.get(row.variant, NO_TOTALS)
        running[row.variant] = totals.minus(row.totals)
        if row.bucket * 1000 <= now_ms and variant in {None, row.variant}:
            found.append(snapshot(row, totals, width))
    found.reverse()
    return found


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
    return MetricSnapshot(
        timestamp=row.bucket * 1000,
        variant=row.variant,
        requests_2xx=totals.requests_2xx,
        requests_4xx=totals.requests_4xx,
        requests_5xx=totals.requests_5xx,
        tokens_input=totals.tokens_input,
        tokens_output=totals.tokens_output,
        tokens_cache_read=totals.tokens_cache_read,
        tokens_cache_write=totals.tokens_cache_write,
        concurrent_requests=row.concurrent_requests,
        max_workers=row.max_workers,
        rate_limit_rejections=totals.rate_limit_rejections,
        upstream_errors=totals.upstream_errors,
        retry_attempts=totals.retry_attempts,
        latency_p50=row.latency_p50,
        latency_p95=row.latency_p95,
        latency_p99=row.latency_p99,
        request_size_avg=_average(row.request_bytes, row.request_bytes_n),
        response_size_avg=_average(row.response_bytes, row.response_bytes_n),
        token_rate_in=row.totals.tokens_input / seconds,
        token_rate_out=row.totals.tokens_output / seconds,
        token_rate_cache_read=row.totals.tokens_cache_read / seconds,
        token_rate_cache_write=row.totals.tokens_cache_write / seconds,
        req_rate=row.requests / seconds,
        error_rate_pct=percent(row.errors, row.requests),
        worker_utilization=_utilization(row),
        status_code_rates={code: count / seconds for code, count in row.status_codes.items()},
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
        "worker_utilization": None if gauges is None else _utilization(gauges),
        "rate_limit_rps": None,
        "token_rate_in": sum(row.totals.tokens_input for row in rows) / STATUS_SECONDS,
        "token_rate_out": sum(row.totals.tokens_output for row in rows) / STATUS_SECONDS,
    }


def _nothing(bucket: int, variant: str) -> StoredSnapshot:
    return StoredSnapshot(
        bucket, variant, NO_TOTALS, 0, 0, 0, 0, 0, 0, None, None, None, {}, None, None
    )  # fmt: skip


def _average(total: int, n: int) -> float | None:
    return total / n if n else None


def _utilization(row: StoredSnapshot) -> float | None:
    if row.concurrent_requests is None or not row.max_workers:
        return None
    return row.concurrent_requests / row.max_workers

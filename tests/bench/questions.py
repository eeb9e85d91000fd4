"""How long the store's questions take: through the reports that the doors use, HTTP left out.

They are asked at the moment of the newest request: however long filling took, the last hour is full.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.reports import snapshot
from weir.metrics_api.reports.reports import Reports, Stretch
from weir.metrics_api.storage.port import Filter, QueryTimeoutError, Window
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from weir.metrics_api.storage.port import Kept, Store

RETENTION: Final[Mapping[Kept, float]] = {
    "requests": float("inf"),
    "5s": 86400,
    "1m": 604800,
    "1h": float("inf"),
    "1d": float("inf"),
}
TIMES: Final = 20
MOST_SECONDS: Final = 15.0
"""For one question; what is slow is asked fewer times."""
_WEEK: Final = 604_800
_PERCENTILES: Final = ("latency_p50", "latency_p95", "latency_p99", "ttft_p95")
_FILTERS: Final[tuple[tuple[str, Mapping[str, Sequence[str]]], ...]] = (
    ("none", {}),
    ("model", {"model": ["gpt-4o"]}),
    ("user", {"user": ["ada"]}),
    ("project", {"project": ["ide"]}),
    ("upstream", {"upstream": ["gpu-2"]}),
    ("provider", {"provider": ["echo"]}),
    ("variant", {"variant": ["canary"]}),
    ("outcome", {"outcome": ["timeout"]}),
    ("status", {"status": ["429"]}),
    ("status class", {"status": ["5xx"]}),
    ("endpoint", {"endpoint": ["chat.completions"]}),
    ("a model nobody used", {"model": ["nothing"]}),
)
_COMBINATIONS: Final[tuple[tuple[str, Mapping[str, Sequence[str]]], ...]] = (
    ("canary timeouts of a project", {"variant": ["canary"], "outcome": ["timeout"], "project": ["ide"]}),
    ("a user's 5xx of a model", {"user": ["ada"], "status": ["5xx"], "model": ["qwen3:14b"]}),
    (
        "429 of two models at an upstream",
        {"model": ["gpt-4o", "gpt-4o-mini"], "status": ["429"], "upstream": ["openai"]},
    ),
)


@dataclass(frozen=True)
class Timing:
    """Milliseconds: the first time, from the disk; later ones; and their CPU, PostgreSQL's included."""

    what: str
    goal: str
    first: float
    p50: float
    p95: float
    cpu: float


async def questions(
    store: Store, cpu: Callable[[], float], forget: Callable[[], None] | None = None
) -> AsyncIterator[Timing]:
    """Time every question. `cpu` tells seconds so far; `forget` empties the caches before the first time."""
    if isinstance(store, SqliteStore) and store._inspection is not None:
        await asyncio.to_thread(store._inspection.wait)
    newest = await store.last_request_at(Filter())
    assert newest is not None, "the past is empty"
    for what, goal, ask in _all(store, newest + 1):
        yield await _timed(what, goal, ask, cpu, forget)


class _HeldClock:
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_us(self) -> int:
        return 1000 * self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1000


def _all(store: Store, now_ms: int) -> Iterator[tuple[str, str, Callable[[], Awaitable[Any]]]]:
    reports = Reports(store, RETENTION, _HeldClock(now_ms))
    for length, goal in (("1h", "20"), ("24h", "30"), ("7d", "30"), ("30d", "60")):
        at = Stretch(length)
        yield f"summary {length}", goal, partial(reports.summary, at, {}, None)
        yield f"summary {length} by model", goal, partial(reports.summary, at, {}, "model")
        yield (
            f"series {length} by model",
            goal,
            partial(reports.series, at, {}, ("req_rate", "tokens_output"), "model", None),
        )
        yield (
            f"percentiles {length}",
            goal,
            partial(reports.series, at, {}, _PERCENTILES, None, None),
        )
        yield (
            f"requests {length} by outcome",
            "",
            partial(reports.series, at, {}, ("requests",), "outcome", None),
        )
    for variant in ("production", None):
        yield (
            f"`/api/metrics` 7d, {variant or 'all variants'}",
            "50" if variant else "",
            partial(snapshot.snapshots, store, _WEEK, variant, now_ms),
        )
    yield "status", "", reports.status
    ever = Window(0, 1 << 42)
    yield "newest 50 of all time, no filter", "10", partial(store.requests, ever, Filter(), limit=50)
    for name, wanted in _FILTERS[1:]:
        yield (
            f"newest 50 of 30d, by {name}",
            "10",
            partial(reports.requests, Stretch("30d"), wanted, 50, None),
        )
    for name, wanted in _COMBINATIONS:
        yield f"newest 50 of 24h, {name}", "200", partial(reports.requests, Stretch("24h"), wanted, 50, None)
    yield "summary 24h of a user", "200", partial(reports.summary, Stretch("24h"), {"user": ["ada"]}, None)
    yield "summary 24h by user", "200", partial(reports.summary, Stretch("24h"), {}, "user")


async def _timed(
    what: str,
    goal: str,
    ask: Callable[[], Awaitable[Any]],
    cpu: Callable[[], float],
    forget: Callable[[], None] | None,
) -> Timing:
    if forget is not None:
        forget()
    times: list[float] = []
    spent = 0.0
    until = time.monotonic() + MOST_SECONDS
    while len(times) < 3 or (len(times) <= TIMES and time.monotonic() < until):
        start, spent_before = time.perf_counter(), cpu()
        try:
            await ask()
        except QueryTimeoutError:
            return Timing(what, goal, inf, inf, inf, inf)
        times.append(1000 * (time.perf_counter() - start))
        spent += cpu() - spent_before if len(times) > 1 else 0
    first, *later = times
    return Timing(what, goal, first, median(later), quantiles(later, n=20)[-1], 1000 * spent / len(later))


def forget_file(path: Path) -> None:
    """Let the kernel drop what it holds of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)

"""How long the store's questions take: through the reports that the doors use, HTTP left out."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from math import inf
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.reports.reports import Reports, Stretch
from weir.metrics_api.storage.port import Filter, QueryTimeoutError, Window
from weir.servicekit.clock import SystemClock

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
    for what, goal, ask in _all(store):
        yield await _timed(what, goal, ask, cpu, forget)


def _all(store: Store) -> Iterator[tuple[str, str, Callable[[], Awaitable[Any]]]]:
    reports = Reports(store, RETENTION, SystemClock())
    for length, goal in (("1h", "20"), ("7d", "30"), ("30d", "60")):
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
    yield "snapshots 7d (`/api/metrics`)", "50", partial(reports.snapshots, "7d", "production")
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
    for _ in range(TIMES + 1):
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

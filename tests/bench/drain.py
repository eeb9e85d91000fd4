"""The real process before a full stream: its speed and memory, and how long reads take meanwhile."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

from tests.bench.past import MICRO, at_moments, patterns
from tests.support.metrics_api import MetricsApi
from tests.support.processes import until
from tests.support.redis_server import RedisServer

from weir.events import encode
from weir.events.stream import FIELD, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from redis import Redis

AT_ONCE: Final = 5000


@dataclass(frozen=True)
class Drained:
    """Records per second, µs of CPU a record and MB at most of the process; ms of reads meanwhile (p95)."""

    records: float
    cpu: float
    megabytes: int
    read: float


def drained(folder: Path, settings: dict[str, str], count: int) -> Drained:
    """A backlog of `count` records, with the questions of an open dashboard beside it."""
    with redis_beside(folder) as redis:
        api = MetricsApi(redis.url, folder / "data", settings)
        for batch in _batches(count):
            _add(api.redis, batch)
        with api:
            reads: list[float] = []
            done = threading.Event()
            reader = threading.Thread(target=_ask, args=(api, reads, done))
            start, cpu = time.perf_counter(), _cpu_seconds(api.process.pid)
            reader.start()
            until(api.settled, "the stream is drained", 3600)
            seconds = time.perf_counter() - start
            cpu = _cpu_seconds(api.process.pid) - cpu
            done.set()
            reader.join()
            peak = _peak_megabytes(api.process.pid)
    return Drained(count / seconds, MICRO * cpu / count, peak, _p95(reads))


@contextmanager
def redis_beside(folder: Path) -> Generator[RedisServer]:
    """A Redis of one's own that writes nothing to the disk."""
    server = RedisServer(folder / "redis", ["--appendonly", "no", "--save", ""])
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _batches(count: int) -> Iterator[list[bytes]]:
    made, source = patterns(), random.Random(time.time_ns())  # noqa: S311 - made-up traffic
    start = time.time_ns() // 1000 - count * 500
    for first in range(0, count, AT_ONCE):
        moments = (start + i * 500 for i in range(first, min(first + AT_ONCE, count)))
        yield [encode(event) for event in at_moments(moments, made, source)]


def _add(redis: Redis, batch: list[bytes]) -> None:
    pipe = redis.pipeline(transaction=False)
    for data in batch:
        pipe.xadd(REQUESTS, {FIELD: data})
    pipe.execute()


def _ask(api: MetricsApi, reads: list[float], done: threading.Event) -> None:
    questions: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/api/summary", {"range": "1h", "by": "model"}),
        ("/api/series", {"range": "1h", "metrics": "req_rate,latency_p95"}),
        ("/api/requests", {"range": "1h", "limit": 50}),
    )
    while not done.wait(0.2):
        for path, parameters in questions:
            start = time.perf_counter()
            api.json(path, **parameters)
            reads.append(1000 * (time.perf_counter() - start))


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _peak_megabytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024

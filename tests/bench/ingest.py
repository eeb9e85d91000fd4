"""How fast the metrics API takes records in: from a full stream into the database, with all roll-ups.

    python -m tests.bench.ingest [--database sqlite|postgres] [--events 200000] [--batch 5000]

Two numbers: the storage alone (records in memory, batches as large as ingest makes them of a backlog), and
the real process draining a real Redis (reading, decoding, storing, publishing, acknowledging). Records are
spread over the models, users and outcomes of tests/support/traffic.py, started over `--minutes`. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.metrics_api import MetricsApi
from tests.support.postgres_server import PostgresServer
from tests.support.processes import until
from tests.support.redis_server import RedisServer
from tests.support.traffic import event as plausible

from weir.events import RequestEvent, decode, encode
from weir.events.stream import FIELD, REQUESTS
from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from weir.metrics_api.storage.port import Store

BATCH: Final = 5000
_MICRO: Final = 1_000_000


def records(count: int, minutes: float) -> list[RequestEvent]:
    source = random.Random(1)  # noqa: S311 - made-up traffic
    now = time.time_ns() // 1000
    span = int(minutes * 60 * _MICRO)
    return [plausible(now - span + span * i // count, source) for i in range(count)]


async def storage_alone(events: list[RequestEvent], database: Path | str, batch: int) -> tuple[float, float]:
    """Records per second into the database, and its bytes a record."""
    store: Store
    if isinstance(database, str):
        store = await PostgresStore.open(database)
    else:
        store = SqliteStore.open(database)
    empty = (await store.size()).bytes
    start = time.perf_counter()
    for first in range(0, len(events), batch):
        await store.add(events[first : first + batch])
    seconds = time.perf_counter() - start
    await store.tidy()
    held = (await store.size()).bytes - empty
    await store.close()
    return len(events) / seconds, held / len(events)


def drain(encoded: list[bytes], folder: Path, settings: dict[str, str]) -> tuple[float, float, int]:
    """Records per second through the real process, its CPU µs per record and its peak memory in MB."""
    redis = RedisServer(folder / "redis", ["--appendonly", "no"])
    redis.start()
    api = MetricsApi(redis.url, folder / "data", settings)
    for first in range(0, len(encoded), BATCH):
        pipe = api.redis.pipeline(transaction=False)
        for data in encoded[first : first + BATCH]:
            pipe.xadd(REQUESTS, {FIELD: data})
        pipe.execute()
    try:
        with api:
            start = time.perf_counter()
            before = _cpu_seconds(api.process.pid)
            until(api.settled, "the stream is drained", 600)
            seconds = time.perf_counter() - start
            cpu = _cpu_seconds(api.process.pid) - before
            peak = _peak_megabytes(api.process.pid)
            stored = api.json("/api/summary", range="24h")["total"]["requests"]
            assert stored == len(encoded), (stored, len(encoded))
    finally:
        redis.stop()
    return len(encoded) / seconds, cpu / len(encoded) * 1e6, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=10.0, help="over which the records are spread")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--batch", type=int, default=BATCH)
    arguments = parser.parse_args()
    events = records(arguments.events, arguments.minutes)
    encoded = [encode(event) for event in events]
    decoded = [decode(data) for data in encoded]
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as the service does
    size = sum(map(len, encoded)) / len(encoded)
    print(f"{len(events)} records of {size:.0f} bytes over {arguments.minutes:g} min")  # noqa: T201 - a command talks
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = PostgresServer() if arguments.database == "postgres" else None
        if server is not None:
            stack.callback(server.close)
            server.start()
        alone = folder / "alone.db" if server is None else server.database()
        rate, size = asyncio.run(storage_alone(decoded, alone, arguments.batch))
        print(f"storage alone: {rate:,.0f} records/s, {size:.0f} bytes a record with its roll-ups")  # noqa: T201 - a command talks
        settings = {} if server is None else {"WEIR_DATABASE_URL": server.database()}
        through, cpu, peak = drain(encoded, folder, settings)
        print(f"whole process: {through:,.0f} records/s, {cpu:.1f} µs of CPU a record, {peak} MB at most")  # noqa: T201 - a command talks


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _peak_megabytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()

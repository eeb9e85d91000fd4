"""How fast records go into a store, beside the plainest way to write the same bytes to the same database."""

from __future__ import annotations

import random
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import asyncpg
from tests.bench.past import MICRO, at_moments, patterns

from weir.events.reader import MOST
from weir.metrics_api.ingest import consumer
from weir.metrics_api.storage import request_row
from weir.metrics_api.storage.position import positions
from weir.metrics_api.storage.postgres import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Store

BATCH: Final = (consumer.READ_AHEAD + 1) * MOST
"""As large as ingest makes them of a backlog."""
PER_SECOND: Final = 2000
"""What the proxies took in while the records piled up."""
_TICKS: Final = 100


@dataclass(frozen=True)
class Rate:
    """Records per second by the clock, and µs of CPU a record: of this process, and of PostgreSQL's."""

    records: float
    cpu: float
    server_cpu: float


def records(count: int) -> list[RequestEvent]:
    """The newest `count` requests of a system that takes PER_SECOND."""
    start = time.time_ns() // 1000 - count * MICRO // PER_SECOND
    moments = (start + i * MICRO // PER_SECOND for i in range(count))
    return at_moments(moments, patterns(), random.Random(time.time_ns()))  # noqa: S311 - made-up traffic


async def into(store: Store, events: list[RequestEvent], server: int | None = None) -> Rate:
    """Through the store, with roll-ups."""
    with _Watch(len(events), server) as watch:
        for first in range(0, len(events), BATCH):
            await store.add(events[first : first + BATCH])
    return watch.rate


def plainly_sqlite(path: Path, events: list[RequestEvent]) -> Rate:
    """Yardstick: one table without an index, `executemany` of rows that are made already."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute(f"create table plain ({', '.join(request_row.COLUMNS)})")
    marks = ", ".join("?" * len(request_row.COLUMNS))
    rows = list(_rows(events))
    with _Watch(len(rows)) as watch:
        for first in range(0, len(rows), BATCH):
            connection.execute("begin")
            connection.executemany(f"insert into plain values ({marks})", rows[first : first + BATCH])  # noqa: S608 - no values
            connection.execute("commit")
    connection.close()
    return watch.rate


async def server_of(url: str) -> int:
    """The process of which PostgreSQL's others are children; it must be on this machine."""
    connection: Any = await cast("Any", asyncpg.connect)(url)
    backend = await connection.fetchval("select pg_backend_pid()")
    parent = _parent_of(backend)
    await connection.close()
    return parent


async def plainly_postgres(url: str, events: list[RequestEvent], server: int) -> Rate:
    """Yardstick: COPY of rows that are made already into one table without an index."""
    connection: Any = await cast("Any", asyncpg.connect)(url)
    await texts.register(connection)
    await connection.execute("drop table if exists plain")
    columns = ", ".join(("request_id", "id", *request_row.COLUMNS[2:]))
    await connection.execute(f"create table plain as select {columns} from completion_requests limit 0")  # noqa: S608 - no values
    rows = list(_rows(events))
    with _Watch(len(rows), server) as watch:
        for first in range(0, len(rows), BATCH):
            await connection.copy_records_to_table(
                "plain", records=rows[first : first + BATCH], columns=request_row.COLUMNS
            )
    await connection.execute("drop table plain")
    await connection.close()
    return watch.rate


class _Numbers(dict[str | None, int | None]):
    def __missing__(self, name: str | None) -> int:
        self[name] = number = len(self)
        return number


def _rows(events: list[RequestEvent]) -> Iterator[tuple[Any, ...]]:
    names = _Numbers({None: None})
    ids = request_row.keys([event.request_id for event in events])
    places = positions([event.started_at for event in events], ids)
    return request_row.rows(events, places, ids, names)


class _Watch:
    """Clock and CPU between its start and its end."""

    rate: Rate

    def __init__(self, count: int, server: int | None = None) -> None:
        self._count = count
        self._postgres = server

    def __enter__(self) -> Self:
        self._server = _children_cpu(self._postgres)
        self._cpu, self._start = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds, cpu = time.perf_counter() - self._start, time.process_time() - self._cpu
        server = _children_cpu(self._postgres) - self._server
        self.rate = Rate(self._count / seconds, MICRO * cpu / self._count, MICRO * server / self._count)


def cpu_seconds(server: int | None) -> float:
    """Of this process, and of PostgreSQL's if it is named."""
    return time.process_time() + _children_cpu(server)


def _children_cpu(parent: int | None) -> float:
    """Seconds of all processes that this one started and that live."""
    ticks = 0
    for entry in Path("/proc").glob("[0-9]*/stat") if parent else ():
        try:
            fields = _fields(entry.read_text())
        except OSError:
            continue
        if int(fields[1]) == parent:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _parent_of(pid: int) -> int:
    return int(_fields(Path(f"/proc/{pid}/stat").read_text())[1])


def _fields(stat: str) -> list[str]:
    """Of /proc/…/stat, from the state on."""
    return stat.rpartition(")")[2].split()

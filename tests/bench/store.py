"""How fast the stores take records in and answer, at the size of a month of steady use.

    make bench-store                                       both stores, ten million requests: about an hour
    make bench-store ARGS='--requests 200000 --backlog 50000 --stores sqlite'
    make bench-store ARGS='--sqlite /big/weir.db'          kept, and not filled again the next time

The past is thirty days of ten models (tests/bench/past.py); times of questions are those of the reports
behind the doors. Yardsticks are of the same run: the same rows written in the plainest way. PostgreSQL is
a server of one's own with fsync, unless one is named. Nothing is asserted on time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import drain, freshness, past, questions, taking_in
from tests.support.postgres_server import PostgresServer

from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from weir.metrics_api.storage.port import Store

    Place = Path | str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000_000, help="stored before questions are asked")
    parser.add_argument("--ingest", type=int, default=200_000, help="records of each ingest figure")
    parser.add_argument("--backlog", type=int, default=1_000_000, help="records in the stream to drain")
    parser.add_argument("--per-second", type=int, default=100, help="requests, for freshness")
    parser.add_argument("--fresh", type=int, default=30, help="seconds of it; 0 for none")
    parser.add_argument("--stores", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--sqlite", type=Path, help="the database file to use and to keep")
    parser.add_argument("--postgres", help="the URL of a database to use and to keep")
    arguments = parser.parse_args()
    say(f"{time.strftime('%Y-%m-%d')}, {_machine()}, load average before: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        if "sqlite" in arguments.stores:
            say(f"### SQLite {sqlite3.sqlite_version}\n")
            _store(arguments.sqlite or folder / "weir.db", folder / "empty.db", folder, arguments)
        if "postgres" in arguments.stores:
            server = PostgresServer()
            stack.callback(server.close)
            server.start(fsync="on", shared_buffers="512MB", max_wal_size="4GB")
            say("\n### PostgreSQL\n")
            _store(arguments.postgres or server.database(), server.database(), folder, arguments)


def _store(filled: Place, empty: Place, folder: Path, arguments: argparse.Namespace) -> None:
    asyncio.run(_alone(filled, empty, folder, arguments))
    settings = {"WEIR_DATABASE_URL": str(filled)}
    if arguments.backlog:
        of = drain.drained(folder / f"drain-{time.time_ns()}", settings, arguments.backlog)
        say(f"\n| {arguments.backlog:,} records through the whole process, into the filled tables | |")
        say("|---|---|")
        say(f"| drained | {of.records:,.0f} records/s |")
        say(f"| CPU of the process | {of.cpu:.1f} µs a record |")
        say(f"| memory at most | {of.megabytes} MB |")
        say(f"| reads meanwhile, p95 | {of.read:.0f} ms |")
    if arguments.fresh:
        place = folder / f"fresh-{time.time_ns()}"
        seen = freshness.measured(place, settings, arguments.per_second, arguments.fresh)
        say(f"\n| {arguments.per_second} requests/s, from the last byte, ms | p50 | p95 | longest |")
        say("|---|---|---|---|")
        for what, values in (("to the row", seen.rows), ("to the live message", seen.messages)):
            say(f"| {what} | {' | '.join(f'{ms:.0f}' for ms in freshness.shares(values))} |")
        untold = seen.asked - seen.failed - len(seen.messages)
        say(f"\nOf {seen.asked} requests {seen.failed} failed, {untold} were not told one by one;")
        say(f"{seen.missing} of those that were looked up were not there within {freshness.PATIENCE:g} s.")


async def _alone(filled: Place, empty: Place, folder: Path, arguments: argparse.Namespace) -> None:
    events = taking_in.records(arguments.ingest)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as the service does
    say("| taking in | records/s | CPU µs a record | of the server |\n|---|---|---|---|")
    server = await taking_in.server_of(empty) if isinstance(empty, str) else None
    store = await _open(empty)
    _rate("into empty tables, with roll-ups", await taking_in.into(store, events, server))
    await store.close()
    if server is None:
        _rate("yardstick: plain executemany, no index", taking_in.plainly_sqlite(folder / "plain.db", events))
    else:
        _rate("yardstick: plain COPY, no index", await taking_in.plainly_postgres(str(empty), events, server))
    server = await taking_in.server_of(filled) if isinstance(filled, str) else None
    store = await _open(filled)
    stored = (await store.size()).requests
    if stored < arguments.requests:
        await past.fill(store, arguments.requests - stored, lambda _: None)
    size = await store.size()
    _rate(
        f"into tables with {size.requests:,} requests",
        await taking_in.into(store, taking_in.records(arguments.ingest), server),
    )
    say(f"\n{size.bytes / size.requests:.0f} bytes a request on disk, indexes and roll-ups included.\n")
    say("| question, ms | first | p50 | p95 | CPU | goal |\n|---|---|---|---|---|---|")
    forget = (lambda: questions.forget_file(filled)) if isinstance(filled, Path) else None
    spent = partial(taking_in.cpu_seconds, server)
    async for each in questions.questions(store, spent, forget):
        times = " | ".join(f"{ms:.1f}" for ms in (each.first, each.p50, each.p95, each.cpu))
        say(f"| {each.what} | {times} | {each.goal} |")
    await store.close()


async def _open(place: Place) -> Store:
    return SqliteStore.open(place) if isinstance(place, Path) else await PostgresStore.open(place)


def _rate(what: str, rate: taking_in.Rate) -> None:
    server = f"{rate.server_cpu:.1f}" if rate.server_cpu else ""
    say(f"| {what} | {rate.records:,.0f} | {rate.cpu:.1f} | {server} |")


def _machine() -> str:
    model = next(
        (
            line.partition(": ")[2]
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, Linux {platform.release()}"
    )


def say(text: Any) -> None:
    print(text, flush=True)  # noqa: T201 - a command talks


if __name__ == "__main__":
    main()

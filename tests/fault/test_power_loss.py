"""The machine loses power: of the journal stays what was synced, of the database what it had checkpointed.

Simulated: at a moment of full load what a disk would hold is copied elsewhere and started there, with an
empty Redis. What the processes have synced they say themselves (`disk/sitecustomize.py`); a file whose name
was never synced is not there, and neither are marks, which are never synced.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from redis.asyncio import Redis
from tests.fault.balance import compare
from tests.fault.clients import KINDS, Clients
from tests.fault.installation import Service
from tests.fault.ledger import Ledger
from tests.fault.stops import settled
from tests.fault.upstreams import Upstreams
from tests.support.processes import until
from tests.support.raw_http import fetch
from tests.support.redis_server import RedisServer, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the names of open files"),
    pytest.mark.timeout(300),
]

CLIENTS: Final = 12
LEAST: Final = 60
MOST: Final = 200
"""The power fails after so many requests."""
SETTLE_SECONDS: Final = 60.0
_QUICK: Final = tuple(kind for kind in KINDS if kind.outcome != "timeout")


@dataclass(frozen=True, slots=True)
class Machine:
    """One that has a disk of its own: a folder."""

    directory: Path
    redis: RedisServer
    proxy: Service
    api: Service


def machine(directory: Path, config: Path, fsync: str, log: Path) -> Machine:
    directory.mkdir(parents=True, exist_ok=True)
    redis = RedisServer(directory / "redis")
    shared = {
        "REDIS_URL": redis.url,
        "WEIR_DATA_DIR": str(directory / "data"),
        "WEIR_LOG_FORMAT": "json",
    }
    proxy = {
        **shared,
        "WEIR_PROXY_LISTEN": f"127.0.0.1:{free_port()}",
        "WEIR_PROXY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "WEIR_PROXY_WORKERS": "2",
        "WEIR_PROXY_ID": "power",
        "WEIR_JOURNAL_FSYNC": fsync,
        "WEIR_CONFIG": str(config),
        "WEIR_TEST_SYNCED": str(log),
        "PYTHONPATH": str(Path(__file__).parent / "disk"),
    }
    api = {**shared, "WEIR_API_LISTEN": f"127.0.0.1:{free_port()}"}
    return Machine(
        directory,
        redis,
        Service("weir.proxy", directory, proxy),
        Service("weir.metrics_api", directory, api),
    )


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Upstreams]:
    running = Upstreams(tmp_path)
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("fsync", "redis"), [("always", "there"), ("interval", "away")], ids=["always", "interval"]
)
def test_what_was_answered_before_the_last_sync_is_a_row(
    fsync: str, redis: Literal["there", "away"], upstreams: Upstreams, tmp_path: Path
) -> None:
    log = tmp_path / "synced"
    first = machine(tmp_path / "first", upstreams.config, fsync, log)
    second = machine(tmp_path / "second", upstreams.config, fsync, tmp_path / "synced-second")
    ledger = Ledger()
    try:
        safe_until = asyncio.run(_until_the_power_fails(first, second.directory, log, ledger, redis))
        if fsync == "always":
            safe_until = time.monotonic()
        lost_late = _forget(ledger, after=safe_until)
        assert ledger.entries, "something was answered before the last sync"
        balance = asyncio.run(_restored(second, ledger))
    finally:
        for one in (first, second):
            _end(one)
    unexpected = [*balance.lost, *balance.doubled, *balance.wrong, *balance.sums]
    assert unexpected == [], f"{len(ledger.entries)} answered before the last sync, {lost_late} after it"


async def _until_the_power_fails(
    machine: Machine, copy: Path, log: Path, ledger: Ledger, redis: Literal["there", "away"]
) -> float:
    """Load, and the copy at a random moment of it. Returns until when all that was answered is in it."""
    if redis == "there":
        await asyncio.to_thread(machine.redis.start)
        await asyncio.to_thread(machine.api.start)
    await asyncio.to_thread(machine.proxy.start)
    most = random.SystemRandom().randint(LEAST, MOST)
    failed = False
    clients = Clients(
        ledger,
        lambda: machine.proxy.process.url,
        lambda _since: failed,
        seed="power",
        clients=CLIENTS,
        more=lambda: not failed,
        kinds=_QUICK,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(clients.run())
        while ledger.sent < most or not _all_noted(machine, log):  # noqa: ASYNC110 - the load goes on
            await asyncio.sleep(0.02)
        answered = len(ledger.entries)
        moment = _copy(machine, copy, log)
        del ledger.entries[answered:]  # answered while it was copied: nobody knows
        failed = True
    del ledger.entries[answered:]
    assert ledger.complaints == []
    return moment


def _all_noted(machine: Machine, log: Path) -> bool:
    """Whether each segment that is there has been synced once, and its name, too."""
    notes = _notes(log)
    sized = {note["path"] for note in notes if "size" in note}
    there = {str(path) for path in (machine.directory / "data").rglob("*.segment")}
    return bool(there) and there <= sized & _named(notes)


def _named(notes: list[dict[str, Any]]) -> set[str]:
    return {f"{note['path']}/{name}" for note in notes for name in note.get("names", ())}


def _copy(machine: Machine, copy: Path, log: Path) -> float:
    """What the disk holds: of the journal as much as was synced; of the database the part without its log."""
    notes = _notes(log)
    database = machine.directory / "data" / "weir.db"
    (copy / "data").mkdir(parents=True, exist_ok=True)
    if database.exists():
        machine.api.process.send(signal.SIGSTOP)  # so that no checkpoint is copied half
        shutil.copy(database, copy / "data" / "weir.db")
    named = _named(notes)
    last = {note["path"]: note for note in notes if note["path"].endswith(".segment")}
    for path, note in last.items():
        if path in named and Path(path).exists():
            there = copy / Path(path).relative_to(machine.directory)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(Path(path).read_bytes()[: note["size"]])
    return min(note["at"] for note in last.values())


def _notes(log: Path) -> list[dict[str, Any]]:
    """What was synced, oldest first; a line that is being written is left out."""
    whole, _, _ = log.read_bytes().rpartition(b"\n") if log.exists() else (b"", b"", b"")
    return [json.loads(line) for line in whole.splitlines()]


def _forget(ledger: Ledger, after: float) -> int:
    """Keep what must be there: whole answers of before this moment. How many others are forgotten."""
    kept = [entry for entry in ledger.entries if entry.answered_at and entry.answered_at < after]
    forgotten = len(ledger.entries) - len(kept)
    ledger.entries[:] = kept
    return forgotten


async def _restored(machine: Machine, ledger: Ledger) -> Any:
    """Start what was copied, wait until all of its journal is stored, and compare."""
    await asyncio.to_thread(machine.redis.start)
    await asyncio.to_thread(machine.api.start)
    await asyncio.to_thread(machine.proxy.start)
    redis = Redis.from_url(machine.redis.url)
    try:
        await asyncio.to_thread(until, lambda: _shipped(machine), "the journal is shipped", SETTLE_SECONDS)
        end = time.monotonic() + SETTLE_SECONDS
        while not await settled(redis):
            assert time.monotonic() < end, "the stream is not read"
            await asyncio.sleep(0.05)
    finally:
        await redis.aclose()
    codes = [await asyncio.to_thread(service.process.stop) for service in (machine.proxy, machine.api)]
    assert codes == [0, 0]
    return await compare(ledger, "sqlite", str(machine.directory / "data" / "weir.db"))


def _shipped(machine: Machine) -> bool:
    return asyncio.run(_waiting_bytes(machine)) == b"0.0"


async def _waiting_bytes(machine: Machine) -> bytes:
    answer = await fetch(machine.proxy.process.announced["admin_url"], "GET", "/metrics")
    (line,) = [
        line for line in answer.body.splitlines() if line.startswith(b"weir_proxy_journal_waiting_bytes ")
    ]
    return line.rpartition(b" ")[2]


def _end(machine: Machine) -> None:
    for service in (machine.proxy, machine.api):
        if hasattr(service, "process") and service.process.running():
            os.kill(service.process.pid, signal.SIGCONT)
            service.kill()
    machine.redis.kill9()

"""The database file of a running metrics API is locked, full or damaged: it waits, says so, and goes on."""

from __future__ import annotations

import contextlib
import random
import resource
import sqlite3
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.metrics_api import MetricsApi
from tests.support.processes import NotReadyError, until
from tests.support.traffic import event as plausible

from weir.metrics_api import upkeep
from weir.metrics_api.settings import MetricsApiSettings
from weir.servicekit.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.redis_server import RedisServer

    from weir.events import RequestEvent

WITHIN = 30.0


def recent(count: int) -> list[RequestEvent]:
    """Of the last hour."""
    source = random.Random(17)  # noqa: S311 - made-up traffic
    now = time.time_ns() // 1000
    return [plausible(now - i * 3_600_000_000 // count, source) for i in range(count)]


def paused(api: MetricsApi, words: str) -> None:
    """It takes nothing in, says why, and still lives."""

    def said() -> bool:
        answer = api.get("/readyz")
        return answer.status_code == 503 and words in answer.json()["checks"]["database"]["detail"]

    until(said, f"/readyz says {words!r}", WITHIN)
    assert api.get("/healthz").status_code == 200
    metrics = api.get("/metrics").text
    (failures,) = [line for line in metrics.splitlines() if 'failures_total{what="database"}' in line]
    assert float(failures.split()[-1]) >= 1
    assert not api.settled(), "nothing is acknowledged that is not stored"


def resumed(api: MetricsApi, events: list[RequestEvent]) -> None:
    """All is stored once, sums say the same, and trouble was logged in one line, not one for each attempt."""
    until(lambda: api.get("/readyz").status_code == 200, "it is ready again", WITHIN)
    until(api.settled, "everything is stored", WITHIN)
    rows = api.wait_for(len(events))
    assert {row["request_id"] for row in rows} == {event.request_id for event in events}
    assert api.json("/api/summary", range="6h")["total"]["requests"] == len(events)
    assert api.process.stderr.count("cannot store records") == 1
    assert api.process.stderr.count("records are stored again") == 1


def test_a_database_that_another_program_has_locked_is_waited_for(api: MetricsApi) -> None:
    events = recent(1200)
    api.send(events[:200])
    api.wait_for(200)
    other = sqlite3.connect(api.data / "weir.db", isolation_level=None)
    other.execute("begin immediate")
    api.send(events[200:])
    paused(api, "is locked by another process")
    assert len(api.all_requests()) == 200, "reading goes on"
    other.execute("rollback")
    other.close()
    resumed(api, events)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(ballast: Path) -> None:
    """Take what room there is, while the service may be writing, too."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_pauses_and_room_on_it_resumes(redis_server: RedisServer, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with MetricsApi(redis_server.url, small_disk / "data") as api:
        events = recent(3000)
        api.send(events[:200])
        api.wait_for(200)
        fill(ballast)
        api.send(events[200:])
        paused(api, "the disk is full")
        assert len(api.all_requests()) < len(events), "reading goes on"
        ballast.unlink()
        resumed(api, events)


def test_a_file_that_may_not_grow_pauses_and_resumes(api: MetricsApi) -> None:
    """As a quota does. Without privileges, so that this runs everywhere."""
    events = recent(3000)
    api.send(events[:200])
    api.wait_for(200)
    limits = resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE)
    size = (api.data / "weir.db-wal").stat().st_size
    resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
    api.send(events[200:])
    paused(api, "cannot be read or written")
    resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, limits)
    resumed(api, events)


def test_a_damaged_database_is_refused_and_a_backup_brings_it_back(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    events = recent(900)
    api = MetricsApi(redis_server.url, tmp_path / "data")
    api.start()
    api.send(events[:800])
    api.wait_for(800)
    backup = tmp_path / "backup.db"
    saved = sqlite3.connect(backup)
    live = sqlite3.connect(api.data / "weir.db")
    live.backup(saved)
    live.close()
    saved.close()
    assert api.process.stop() == 0
    database = api.data / "weir.db"
    with database.open("r+b") as file:
        file.seek(database.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 8 * 4096)
    damaged = database.read_bytes()
    api.send(events[800:])
    with pytest.raises(NotReadyError, match=rf"{database} is damaged.*weir restore"):
        api.start()
    assert database.read_bytes() == damaged, "left as it is"

    settings = load(MetricsApiSettings, {"WEIR_DATA_DIR": str(api.data)})
    assert "800 requests" in upkeep.restore(settings, backup, replace=True)
    api.start()
    api.wait_for(len(events))
    api.__exit__(None, None, None)


def test_kills_while_the_disk_is_full_lose_and_double_nothing(
    redis_server: RedisServer, small_disk: Path
) -> None:
    ballast = small_disk / "ballast"
    api = MetricsApi(redis_server.url, small_disk / "data")
    api.start()
    events = recent(2000)
    api.send(events[:100])
    api.wait_for(100)
    for turn in range(2):
        fill(ballast)
        api.send(events[100 + turn * 950 : 1050 + turn * 950])
        paused(api, "the disk is full")
        api.process.kill9()
        ballast.unlink()
        api.start()
    until(api.settled, "everything is stored", WITHIN)
    rows = api.wait_for(len(events))
    assert {row["request_id"] for row in rows} == {event.request_id for event in events}
    assert api.json("/api/summary", range="6h")["total"]["requests"] == len(events)
    api.__exit__(None, None, None)

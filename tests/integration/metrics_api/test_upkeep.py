"""Backup, restore and migrate as an operator calls them, beside a service that works."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.metrics_api import MetricsApi
from tests.support.postgres_server import binaries
from tests.support.traffic import event as plausible

from weir.metrics_api import upkeep
from weir.metrics_api.metrics.rollup import measure
from weir.metrics_api.settings import MetricsApiSettings
from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import (
    Filter,
    RollupQuestion,
    Segment,
    StorageStartError,
    UpkeepError,
    Window,
)
from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.sqlite import SqliteStore
from weir.metrics_api.storage.sqlite.opening import open_writer
from weir.servicekit.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.redis_server import RedisServer

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Level, Store, StoredSize

ALWAYS = Window(0, 1 << 42)
LEVELS: tuple[Level, ...] = ("5s", "1m", "1h", "1d")


def recent(count: int) -> list[RequestEvent]:
    """Of the last hour."""
    source = random.Random(21)  # noqa: S311 - made-up traffic
    now = time.time_ns() // 1000
    return [plausible(now - i * 3_600_000_000 // count, source) for i in range(count)]


def run(folder: Path, *arguments: str | Path, **settings: str) -> str:
    """What a sub-command says in a data folder; it raises what it refuses with."""
    found = load(MetricsApiSettings, {"WEIR_DATA_DIR": str(folder), **settings})
    command, *rest = arguments
    paths = [Path(each) for each in rest if not str(each).startswith("--")]
    if command == "backup":
        return upkeep.back_up(found, *(paths or [None]))
    if command == "restore":
        return upkeep.restore(found, paths[0], replace="--replace" in rest)
    return upkeep.migrate(found, compact="--compact" in rest)


def refused(words: str, folder: Path, *arguments: str | Path, **settings: str) -> None:
    with pytest.raises((UpkeepError, StorageStartError), match=words):
        run(folder, *arguments, **settings)


async def all_of(store: Store) -> dict[str, RequestEvent]:
    page = await store.requests(ALWAYS, Filter(), limit=1_000_000)
    return {event.request_id: event for event in page.events}


async def check_sums(store: Store, events: list[RequestEvent]) -> None:
    expected = measure(events).sums
    for level in LEVELS:
        (answer,) = await store.rollups(RollupQuestion((Segment(level, 0, 1 << 32),)))
        assert answer.cell.sums == expected, level


@pytest.fixture
def busy(api: MetricsApi) -> Iterator[tuple[MetricsApi, list[RequestEvent]]]:
    """A service that takes records in all the time, and what has been sent to it so far."""
    events = recent(8000)
    sent: list[RequestEvent] = []
    enough = threading.Event()

    def send() -> None:
        while len(sent) < len(events) and not enough.wait(0.005):
            batch = events[len(sent) : len(sent) + 50]
            api.send(batch)
            sent.extend(batch)

    sending = threading.Thread(target=send)
    sending.start()
    yield api, sent
    enough.set()
    sending.join()


async def test_backups_while_records_come_in_are_each_of_one_moment(
    busy: tuple[MetricsApi, list[RequestEvent]], tmp_path: Path
) -> None:
    """Every backup holds whole batches with their sums; the last one, restored, is the database."""
    api, sent = busy
    before = 0
    for turn in range(4):
        said = await asyncio.to_thread(run, api.data, "backup", tmp_path / f"{turn}.db")
        assert f"to {tmp_path / f'{turn}.db'} (" in said
        store = SqliteStore.open(tmp_path / f"{turn}.db")
        events = await all_of(store)
        assert before <= len(events) <= len(sent)
        before = len(events)
        assert set(events) <= {event.request_id for event in sent}
        if events:
            await check_sums(store, [event for event in sent if event.request_id in events])
        await store.close()
    assert before > 0


def test_a_backup_restored_elsewhere_answers_the_same(
    api: MetricsApi, redis_server: RedisServer, tmp_path: Path
) -> None:
    api.send(recent(1500))
    rows = api.wait_for(1500)
    now = time.time_ns() // 1_000_000
    window: dict[str, Any] = {"from_": now - 7_200_000, "to": now}
    total = api.json("/api/summary", **window)["total"]
    run(api.data, "backup", tmp_path / "saved")
    (backup,) = (tmp_path / "saved").iterdir()
    assert backup.name.startswith("weir-")
    assert backup.stat().st_mode & 0o077 == 0, "for its owner only"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "1,500 requests" in run(elsewhere, "restore", backup)
    with MetricsApi(redis_server.url, elsewhere) as restored:
        assert restored.all_requests() == rows
        assert restored.json("/api/summary", **window)["total"] == total


def test_restoring_is_refused_beneath_a_service_and_over_a_database(api: MetricsApi, tmp_path: Path) -> None:
    api.send(recent(10))
    api.wait_for(10)
    backup = tmp_path / "backup.db"
    run(api.data, "backup", backup)
    for options in ([], ["--replace"]):
        refused(f"process {api.process.pid}", api.data, "restore", backup, *options)
    refused("served by another metrics API", api.data, "migrate")
    refused("is there already", api.data, "backup", backup)
    api.send(recent(5))
    api.wait_for(15)
    api.process.kill9()
    refused("--replace", api.data, "restore", backup)
    run(api.data, "restore", backup, "--replace")
    api.start()
    assert len(api.all_requests()) == 10
    aside = sqlite3.connect(api.data / "weir.db.replaced-1")
    assert aside.execute("select count(*) from completion_requests").fetchone() == (15,), "with its log"
    aside.close()


def test_what_is_no_good_backup_is_refused_and_the_database_stays(tmp_path: Path) -> None:
    open_writer(tmp_path / "weir.db").close()
    before = (tmp_path / "weir.db").read_bytes()
    bad = tmp_path / "bad.db"
    connection = open_writer(bad, {**migrations(), "0099_later": "create table later (x text) strict;"})
    connection.close()
    refused("newer version of Weir", tmp_path, "restore", bad, "--replace")
    bad.unlink()
    with sqlite3.connect(bad) as foreign:
        foreign.execute("create table bookmarks (url)")
    foreign.close()
    refused("another program", tmp_path, "restore", bad, "--replace")
    shutil.copy(tmp_path / "weir.db", bad)
    with bad.open("r+b") as file:
        file.seek(6 * 4096)
        file.write(b"\xa5" * 8 * 4096)
    refused("damaged", tmp_path, "restore", bad, "--replace")
    refused("damaged", tmp_path, "backup", tmp_path / "none.db", DB_PATH=str(bad))
    bad.write_bytes(b"no database at all" * 300)
    refused("not a database", tmp_path, "restore", bad, "--replace")
    refused("there is no backup", tmp_path, "restore", tmp_path / "nowhere.db")
    refused("there is no database", tmp_path, "backup", DB_PATH=str(tmp_path / "other.db"))
    assert (tmp_path / "weir.db").read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} - {"backups"} == {"weir.db", "weir.db.lock", "bad.db"}


async def test_compacting_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "weir.db"
    store = SqliteStore.open(path)
    await store.add(recent(5000))
    await store.expire_requests(1 << 42, at_most=5000)
    await store.close()
    before = (await opened_size(path)).bytes
    run(tmp_path, "migrate")
    assert (await opened_size(path)).bytes == before
    run(tmp_path, "migrate", "--compact")
    assert (await opened_size(path)).bytes < before / 2


async def opened_size(path: Path) -> StoredSize:
    store = SqliteStore.open(path)
    size = await store.size()
    await store.close()
    return size


# ── PostgreSQL ──────────────────────────────────────────────────────────────


@pytest.fixture
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs of the version that the server has."""
    folder = (binaries() / "postgres").resolve().parent
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.usefixtures("_programs")
async def test_postgresql_is_dumped_beside_its_service_and_restored(
    postgres_url: str, tmp_path: Path
) -> None:
    url = postgres_url.replace("//weir@", "//weir:unused%40@")

    async def done(*arguments: str | Path) -> str:
        return await asyncio.to_thread(run, tmp_path, *arguments, WEIR_DATABASE_URL=url)

    async def fails(words: str, *arguments: str | Path) -> None:
        await asyncio.to_thread(refused, words, tmp_path, *arguments, WEIR_DATABASE_URL=url)

    store = await PostgresStore.open(postgres_url)
    events = recent(600)
    await store.add(events[:400])
    backup = tmp_path / "weir.dump"
    assert "unused" not in await done("backup", backup)
    await fails("is there already", "backup", backup)
    await store.add(events[400:])
    await fails("a metrics API is connected", "restore", backup, "--replace")
    await store.close()
    await fails("--replace", "restore", backup)

    half = tmp_path / "half.dump"
    await asyncio.to_thread(lambda: half.write_bytes(backup.read_bytes()[:-4000]))
    await fails("pg_restore failed", "restore", half, "--replace")
    store = await PostgresStore.open(postgres_url)
    assert len(await all_of(store)) == 600, "what was moved aside is back"
    await store.close()

    for _ in range(2):
        await done("restore", backup, "--replace")
        store = await PostgresStore.open(postgres_url)
        assert set(await all_of(store)) == {event.request_id for event in events[:400]}
        await check_sums(store, events[:400])
        assert len(await store.add(events)) == 200, "goes on as before"
        await store.close()
    await done("migrate")
    await fails("--compact is for SQLite", "migrate", "--compact")


def test_programs_that_are_missing_are_named(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    refused("pg_dump is not on the PATH: install", tmp_path, "backup", WEIR_DATABASE_URL=postgres_url)


# ── the weir command ────────────────────────────────────────────────────────


def test_the_weir_command_does_the_same(tmp_path: Path) -> None:
    def weir(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "weir.cli", *arguments],
            env={"PATH": os.environ["PATH"], "WEIR_DATA_DIR": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert "is up to date" in weir("migrate")
    assert "backed up" in weir("backup", "saved.db")
    assert weir("restore", "saved.db").endswith("say --replace to put the backup in its place\n")
    assert "restored saved.db" in weir("restore", "saved.db", "--replace")
    assert (tmp_path / "weir.db.replaced-1").exists()

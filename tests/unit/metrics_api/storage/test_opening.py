from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.support.builders import MOMENT, make_event

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import Filter, StorageError, StorageStartError, Window
from weir.metrics_api.storage.sqlite import SqliteStore, opening
from weir.metrics_api.storage.sqlite.opening import open_writer

ALWAYS = Window(0, 1 << 42)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weir.db"


async def filled(path: Path, count: int = 500) -> None:
    store = SqliteStore.open(path)
    await store.add([make_event(started_at=MOMENT + i) for i in range(count)])
    await store.close()


def content(path: Path) -> bytes:
    return path.read_bytes()


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xa5" * 20 * 4096)


async def test_a_database_is_made_where_there_is_none_and_kept_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "weir.db"
    await filled(path)
    store = SqliteStore.open(path)
    assert len((await store.requests(ALWAYS, Filter(), limit=1000)).events) == 500
    await store.close()


async def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    await filled(path)
    newer = {**migrations(), "0099_from_the_future": "create table future (x text) strict;"}
    open_writer(path, newer).close()
    before = content(path)
    with pytest.raises(
        StorageStartError, match=r"newer version of Weir.*0099_from_the_future.*WEIR_DATABASE_URL"
    ):
        SqliteStore.open(path)
    assert content(path) == before


async def test_a_damaged_database_is_refused_and_left_as_it_is(path: Path) -> None:
    await filled(path)
    damage(path)
    before = content(path)
    with pytest.raises(StorageStartError, match=r"damaged.*Restore a backup.*\.recover"):
        SqliteStore.open(path)
    assert content(path) == before


@pytest.mark.parametrize(
    "found",
    [b"this is not a database, but it is quite long" * 100, b"SQLite format 3\x00" + b"\xff" * 4096],
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, found: bytes) -> None:
    path.write_bytes(found)
    with pytest.raises(StorageStartError, match="damaged"):
        SqliteStore.open(path)
    assert content(path) == found


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("create table bookmarks (url)")
    other.close()
    with pytest.raises(StorageStartError, match="another program"):
        SqliteStore.open(path)


@pytest.mark.parametrize("folder", ["/proc/nowhere", "/dev/null/below"])
def test_a_folder_that_cannot_be_written_is_named(folder: str) -> None:
    with pytest.raises(StorageStartError, match=rf"cannot open the database {folder}.*WEIR_DATA_DIR"):
        SqliteStore.open(Path(folder) / "weir.db")


def test_a_folder_in_place_of_the_file_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageStartError, match="cannot open the database"):
        SqliteStore.open(path)


async def test_a_locked_database_is_said_to_be_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(path)
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin exclusive")
    broken = {**migrations(), "0002_more": "create table more (x text) strict;"}
    with pytest.raises(StorageStartError, match="locked by another process"):
        open_writer(path, broken)
    other.close()


async def test_records_wait_for_a_lock_to_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    store = SqliteStore.open(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    event = make_event()
    with pytest.raises(StorageError, match="locked"):
        await store.add([event])
    other.execute("rollback")
    other.close()
    assert await store.add([event]) == [event]
    await store.close()


async def test_a_migration_that_fails_leaves_nothing_behind(path: Path) -> None:
    await filled(path)
    broken = {
        **migrations(),
        "0002_broken": "create table half (x text) strict;\ninsert into nowhere values (1);",
    }
    with pytest.raises(StorageStartError, match=r"cannot be brought up to date.*nowhere"):
        open_writer(path, broken)
    connection = open_writer(path)
    names = {row[0] for row in connection.execute("select name from sqlite_master")}
    assert "half" not in names
    connection.close()


async def test_what_was_not_checkpointed_is_there_after_a_crash(tmp_path: Path, path: Path) -> None:
    """The files as SIGKILL leaves them: the newest records are in the -wal file only."""
    store = SqliteStore.open(path)
    await store.add([make_event()])
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("weir.db", "weir.db-wal"):
        shutil.copy(tmp_path / name, crashed / name)
    await store.close()
    reopened = SqliteStore.open(crashed / "weir.db")
    assert len((await reopened.requests(ALWAYS, Filter(), limit=10)).events) == 1
    await reopened.close()


def test_the_check_of_a_large_database_is_cut_short(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_writer(path).close()
    monkeypatch.setattr(opening, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(opening, "_PROGRESS_STEPS", 1)
    open_writer(path).close()

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from tests.support.builders import MOMENT, make_event
from tests.support.processes import until

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import (
    Filter,
    RollupQuestion,
    Segment,
    StorageError,
    StorageStartError,
    Window,
)
from weir.metrics_api.storage.sqlite import SqliteStore, opening
from weir.metrics_api.storage.sqlite.inspection import Inspection
from weir.metrics_api.storage.sqlite.opening import open_checked, open_writer
from weir.metrics_api.storage.sqlite.ownership import owned
from weir.metrics_api.storage.sqlite.trouble import DatabaseFile

ALWAYS = Window(0, 1 << 42)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weir.db"


async def filled(path: Path, count: int = 500) -> None:
    store = SqliteStore.open(path)
    await store.add([make_event(started_at=MOMENT + i) for i in range(count)])
    await store.close()


async def check_sums(store: SqliteStore, count: int) -> None:
    """So many rows, and sums that say the same."""
    assert len((await store.requests(ALWAYS, Filter(), limit=100_000)).events) == count
    for level in ("5s", "1m", "1h", "1d"):
        (answer,) = await store.rollups(RollupQuestion((Segment(level, 0, 1 << 32),)))
        assert answer.cell.sums.requests == count, level


def content(path: Path) -> bytes:
    return path.read_bytes()


def damage(path: Path, page: int = 3) -> None:
    with path.open("r+b") as file:
        file.seek(page * 4096)
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
    with pytest.raises(StorageStartError, match=r"damaged.*restore a backup.*\.recover"):
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


async def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_holds(path: Path) -> None:
    """Of each step that there was: the database as that version left it."""
    steps = migrations()
    for older in range(1, len(steps)):
        place = path.with_name(f"weir-{older}.db")
        connection = open_writer(place, dict(list(steps.items())[:older]))
        connection.execute("insert into names (name) values ('ada')")
        connection.close()
        store = SqliteStore.open(place)
        await store.add([make_event(user="ada", started_at=MOMENT + i) for i in range(3)])
        await check_sums(store, 3)
        names = store._writing._connection.execute("select count(*) from names where name = 'ada'")
        assert names.fetchone() == (1,)
        await store.close()


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


@pytest.fixture
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file takes too long to be checked at start."""
    monkeypatch.setattr(opening, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(opening, "_PROGRESS_STEPS", 1)


@pytest.mark.usefixtures("_large")
async def test_a_large_database_is_checked_to_its_end_while_it_is_used(path: Path) -> None:
    await filled(path)
    connection, whole = open_checked(path)
    connection.close()
    assert not whole
    file = DatabaseFile(path)
    inspection = Inspection(file)
    inspection.wait()
    inspection.close()
    assert file.damage is None


@pytest.mark.usefixtures("_large")
async def test_damage_that_is_found_later_stops_all_writing(path: Path) -> None:
    await filled(path, 3000)
    damage(path, len(content(path)) // 4096 // 2)
    store = SqliteStore.open(path)
    assert store._inspection is not None
    store._inspection.wait()
    with pytest.raises(StorageError, match=rf"{path} is damaged.*weir restore BACKUP.db --replace"):
        await store.add([make_event()])
    with pytest.raises(StorageError, match=rf"{path} is damaged"):
        await store.check()
    await store.close()


async def test_damage_that_a_question_meets_stops_all_writing(path: Path) -> None:
    """Bytes that change on the disk while the database is used."""
    await filled(path, 3000)
    store = SqliteStore.open(path)
    damage(path)
    with pytest.raises(StorageError, match=r"damaged.*restore"):
        await store.requests(ALWAYS, Filter(), limit=3000)
    with pytest.raises(StorageError, match=r"damaged.*restore"):
        await store.add([make_event()])
    await store.close()


@pytest.mark.usefixtures("_large")
async def test_a_store_is_closed_before_its_check_is_done(path: Path) -> None:
    await filled(path)
    for _ in range(5):
        await SqliteStore.open(path).close()


def test_a_file_that_has_become_empty_is_refused(path: Path) -> None:
    path.touch()
    with pytest.raises(StorageStartError, match=r"damaged \(it is empty.*restore"):
        SqliteStore.open(path)
    assert path.stat().st_size == 0


async def test_a_log_without_its_database_is_not_taken_for_a_new_start(path: Path, tmp_path: Path) -> None:
    store = SqliteStore.open(path)
    await store.add([make_event()])
    left = tmp_path / "left"
    left.mkdir()
    shutil.copy(f"{path}-wal", left / "weir.db-wal")
    await store.close()
    before = content(left / "weir.db-wal")
    with pytest.raises(StorageStartError, match=r"weir.db is missing.*weir.db-wal is there.*restore"):
        SqliteStore.open(left / "weir.db")
    assert [file.name for file in left.iterdir()] == ["weir.db-wal"]
    assert content(left / "weir.db-wal") == before


def test_a_start_that_was_cut_leaves_nothing_in_the_way(path: Path) -> None:
    path.with_name("weir.db.new").write_bytes(b"half")
    path.with_name("weir.db.new-wal").write_bytes(b"half of a log")
    open_writer(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["weir.db"]


async def test_a_database_that_is_moved_away_takes_no_more_records(path: Path) -> None:
    """They would go with it, acknowledged, and be missing after a restart."""
    store = SqliteStore.open(path)
    kept = make_event()
    await store.add([kept])
    shutil.move(path, f"{path}.moved")
    event = make_event()
    with pytest.raises(StorageError, match="deleted or replaced while it was open"):
        await store.add([event])
    with pytest.raises(StorageError, match="deleted or replaced while it was open"):
        await store.check()
    shutil.move(f"{path}.moved", path)
    assert await store.add([event]) == [event]
    await store.close()


async def test_a_full_disk_is_said_and_storing_goes_on_when_there_is_room(path: Path) -> None:
    """SQLite's own SQLITE_FULL, by a bound on the file."""
    store = SqliteStore.open(path)
    connection = store._writing._connection
    (pages,) = connection.execute("pragma page_count").fetchone()
    connection.execute(f"pragma max_page_count = {pages + 2}")
    events = [make_event(started_at=MOMENT + i) for i in range(2000)]
    for _ in range(3):
        with pytest.raises(StorageError, match=r"disk is full.*make room.*weir.db"):
            await store.add(events)
    assert await store.add(events[:1]) == events[:1], "what fits is stored"
    connection.execute(f"pragma max_page_count = {pages + 10_000}")
    assert len(await store.add(events)) == 1999
    await check_sums(store, 2000)
    await store.close()


async def test_a_file_that_becomes_read_only_is_said(path: Path) -> None:
    store = SqliteStore.open(path)
    connection = store._writing._connection
    connection.execute("pragma query_only = on")
    event = make_event()
    with pytest.raises(StorageError, match=r"weir.db is read-only.*writable"):
        await store.add([event])
    connection.execute("pragma query_only = off")
    assert await store.add([event]) == [event]
    await store.close()


AS_ANOTHER_USER = """
import os, sys, tempfile
from pathlib import Path
from weir.metrics_api.storage.port import StorageStartError
from weir.metrics_api.storage.sqlite import SqliteStore
with tempfile.TemporaryDirectory() as folder:  # what is imported late may be out of reach for another user
    store = SqliteStore.open(Path(folder) / "weir.db")
    store._writing.close()
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    SqliteStore.open(Path(sys.argv[1]))
except StorageStartError as error:
    print(error)
"""


@pytest.mark.parametrize("closed", ["weir.db", "."])
def test_a_file_or_folder_that_is_read_only_at_start_is_named(closed: str) -> None:
    with tempfile.TemporaryDirectory(prefix="weir-readonly-") as folder:  # pytest's own are closed to others
        Path(folder).chmod(0o777)
        path = Path(folder) / "weir.db"
        open_writer(path).close()
        path.chmod(0o666)
        (Path(folder) / closed).chmod(0o444 if closed == "weir.db" else 0o555)
        found = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER_USER, path], capture_output=True, text=True, check=True, cwd="/"
        )
        Path(folder).chmod(0o777)
    assert f"cannot open the database {path}" in found.stdout
    assert "writable for this user" in found.stdout


KILLED_IN_A_TRANSACTION = """
import os, signal, sys
from pathlib import Path
from tests.support.builders import MOMENT, make_event
from weir.metrics_api.storage.sqlite.opening import open_writer
from weir.metrics_api.storage.sqlite.writing import Writing

path = Path(sys.argv[1])
connection = open_writer(path)
connection.execute("pragma cache_size = 10")  # so that the log has much of the transaction already
writing = Writing(connection)
writing.add([make_event(started_at=MOMENT + i) for i in range(700)])
print(path.with_name("weir.db-wal").stat().st_size, flush=True)
def cut(statement):
    if statement.lower().startswith("commit"):
        os.kill(os.getpid(), signal.SIGKILL)
connection.set_trace_callback(cut)
writing.add([make_event(started_at=MOMENT + 1_000_000 + i) for i in range(3000)])
"""


@pytest.fixture
def _killed(path: Path) -> None:
    """A database that was left with one batch committed and much of another one in the log."""
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_TRANSACTION, path],
        cwd=Path(__file__).parents[4],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert path.with_name("weir.db-wal").stat().st_size > int(ended.stdout)


@pytest.mark.usefixtures("_killed")
async def test_a_kill_inside_a_transaction_leaves_the_batches_before_it(path: Path) -> None:
    store = SqliteStore.open(path)
    await check_sums(store, 700)
    assert await store.add([make_event()]) != []
    await store.close()


# ── one at a time ───────────────────────────────────────────────────────────


def test_two_do_not_serve_one_file(path: Path) -> None:
    with owned(path):
        second = owned(path, wait=0.1)
        with pytest.raises(StorageStartError, match=rf"served by another.*process {os.getpid()}"):
            second.__enter__()
    with owned(path):
        pass


def test_whoever_comes_next_waits_for_the_end_of_the_one_before(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entered = Event()

    def serve() -> None:
        with owned(path):
            entered.set()

    with ThreadPoolExecutor() as threads:
        with owned(path):
            waiting = threads.submit(serve)
            until(lambda: "waiting for another" in caplog.text, "it waits", 30)
            assert not entered.is_set()
        waiting.result(30)
    assert entered.is_set()

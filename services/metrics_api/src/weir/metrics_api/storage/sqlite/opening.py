"""Opening the database file: it is checked before it is trusted, and never replaced.

A commit is on the disk before it counts (`synchronous = full`): what is acknowledged to Redis after it
survives the loss of power, too. That is one fsync a batch.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from sqlite_utils import Database, Migrations

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import StorageStartError
from weir.metrics_api.storage.sqlite import adaptation
from weir.metrics_api.storage.sqlite.trouble import damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MIGRATION_SET: Final = "weir"
BUSY_SECONDS: Final = 2.0
"""How long a statement waits for another process before it fails, to be tried again."""
CHECK_SECONDS: Final = 2.0
"""A large file is not checked to its end at start: it must be up soon after a crash. `inspection` does."""
WAL_BYTES: Final = 64 * 2**20
"""The write-ahead log may grow beyond it for a while and is cut back to it."""
_PROGRESS_STEPS: Final = 10_000


class _MigrationError(Exception):
    """A statement of a migration failed."""


def open_writer(path: Path, steps: Mapping[str, str] | None = None) -> sqlite3.Connection:
    """The connection that writes, with the schema brought up to date.

    Raises:
        StorageStartError: the file cannot be used; the message says why and what to do.
    """
    return open_checked(path, steps)[0]


def open_checked(path: Path, steps: Mapping[str, str] | None = None) -> tuple[sqlite3.Connection, bool]:
    """The same, and whether all of the file was checked."""
    known = migrations() if steps is None else steps
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_there(path):
            _make(path, known)
    except OSError as error:
        raise StorageStartError(_cannot_open(path, error)) from None
    return _open(path, known)


def _is_there(path: Path) -> bool:
    """Whether there is a database. What a database has left behind is none, and no place for a new one.

    Raises:
        StorageStartError: there is only a part of one.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.exists():
        if log.exists() and log.stat().st_size:
            raise StorageStartError(
                f"{path} is missing, but its write-ahead log {log.name} is there: put the database back, "
                "restore a backup (weir restore), or move the log away to start empty"
            )
        return False
    if path.is_file() and path.stat().st_size == 0:
        raise StorageStartError(damaged(path, "it is empty: 0 bytes"))
    return True


def _make(path: Path, steps: Mapping[str, str]) -> None:
    """A new database appears under its name only when it is whole."""
    draft = path.with_name(f"{path.name}.new")
    for left in (draft, *(draft.with_name(f"{draft.name}{end}") for end in ("-wal", "-shm"))):
        left.unlink(missing_ok=True)
    connection, _ = _open(draft, steps)
    connection.close()
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive the loss of power."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _open(path: Path, steps: Mapping[str, str]) -> tuple[sqlite3.Connection, bool]:
    if path.exists() and not os.access(path, os.W_OK):  # SQLite would open it for reading, without a word
        raise StorageStartError(_cannot_open(path, PermissionError(errno.EACCES, "it is read-only")))
    try:
        connection = _connect(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageStartError(_cannot_open(path, error)) from None
    try:
        whole = _check(connection, path)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma wal_autocheckpoint = 4000")
        connection.execute(f"pragma journal_size_limit = {WAL_BYTES}")
        connection.execute("pragma cache_size = -32768")
        migrate(connection, path, steps)
    except _MigrationError as error:
        connection.close()
        raise StorageStartError(
            f"the schema of {path} cannot be brought up to date ({error}); nothing of it was changed"
        ) from None
    except sqlite3.OperationalError as error:
        connection.close()
        raise StorageStartError(_cannot_open(path, error)) from None
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StorageStartError(damaged(path, error)) from None
    except BaseException:
        connection.close()
        raise
    return connection, whole


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(path)
    connection.execute("pragma query_only = on")
    connection.execute("pragma cache_size = -16384")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute("pragma temp_store = memory")
    adaptation.spare_adaptation()
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Refuse a file that is damaged, as far as can be seen in CHECK_SECONDS; whether that was all of it."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
    try:
        row = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return False
    finally:
        connection.set_progress_handler(None, 0)
    if row[0] != "ok":
        raise StorageStartError(damaged(path, row[0]))
    return True


def migrate(connection: sqlite3.Connection, path: Path, steps: Mapping[str, str]) -> None:
    """Take the steps of the schema that have not been taken.

    Raises:
        StorageStartError: it is not a database of Weir's, or of a newer version.
    """
    if Database(connection).table_names():
        recognise(connection, path, steps)
    known = Migrations(MIGRATION_SET)
    for name, text in steps.items():
        known(name=name)(_step(text))
    known.apply(Database(connection))


def recognise(connection: sqlite3.Connection, path: Path, steps: Mapping[str, str]) -> None:
    """Refuse what these steps do not lead to.

    Raises:
        StorageStartError: it is not a database of Weir's, or of a newer version.
    """
    database = Database(connection)
    known = Migrations(MIGRATION_SET)
    for name, text in steps.items():
        known(name=name)(_step(text))
    if Migrations.migrations_table not in database.table_names():
        raise StorageStartError(
            f"{path} is a database of another program; set WEIR_DATABASE_URL to a file of Weir's own"
        )
    unknown = sorted({step.name for step in known.applied(database)} - set(steps))
    if unknown:
        raise StorageStartError(
            f"{path} was written by a newer version of Weir (its schema has {', '.join(unknown)}); "
            "start that version, or set WEIR_DATABASE_URL to another file"
        )


def _step(text: str) -> Callable[[Database], None]:
    def apply(database: Database) -> None:
        for statement in _statements(text):
            try:
                database.conn.execute(statement)
            except sqlite3.Error as error:
                if "locked" in str(error):
                    raise
                raise _MigrationError(str(error)) from error

    return apply


def _statements(text: str) -> list[str]:
    """One by one, because sqlite3's executescript would commit the transaction that a migration is."""
    found: list[str] = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    if pending.strip():
        raise ValueError(f"a migration ends inside a statement: {pending!r}")
    return found


def _cannot_open(path: Path, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if "locked" in reason:
        return f"{path} is locked by another process ({reason}); stop that one, or set WEIR_DATABASE_URL"
    if "full" in reason or getattr(error, "errno", None) == errno.ENOSPC:
        return f"cannot open the database {path}: {reason}; make room on the disk it is on"
    return (
        f"cannot open the database {path}: {reason}; make {path.parent} and all in it writable for this "
        "user, or set WEIR_DATA_DIR or WEIR_DATABASE_URL"
    )

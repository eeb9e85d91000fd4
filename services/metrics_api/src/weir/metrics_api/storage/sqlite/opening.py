"""Opening the database file: it is checked before it is trusted, and never replaced."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from sqlite_utils import Database, Migrations

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import StorageStartError
from weir.metrics_api.storage.sqlite import functions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

MIGRATION_SET: Final = "weir"
BUSY_SECONDS: Final = 5.0
CHECK_SECONDS: Final = 2.0
"""A large file is not checked to its end at start: it must be up again soon after a crash."""
_CORRUPT: Final = (
    "{path} is damaged ({reason}). Weir does not write to it and does not replace it. Restore a backup; or "
    "save what is left with: sqlite3 {path} .recover | sqlite3 recovered.db; or move it away to start empty"
)
_PROGRESS_STEPS: Final = 10_000


class _MigrationError(Exception):
    """A statement of a migration failed."""


def open_writer(path: Path, steps: Mapping[str, str] | None = None) -> sqlite3.Connection:
    """The connection that writes, with the schema brought up to date.

    Raises:
        StorageStartError: the file cannot be used; the message says why and what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise StorageStartError(_cannot_open(path, error)) from None
    try:
        _check(connection, path)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma wal_autocheckpoint = 4000")
        connection.execute("pragma cache_size = -32768")
        _migrate(connection, path, migrations() if steps is None else steps)
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
        raise StorageStartError(_CORRUPT.format(path=path, reason=error)) from None
    except BaseException:
        connection.close()
        raise
    return connection


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
    functions.register(connection)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is damaged, as far as can be seen in CHECK_SECONDS."""
    deadline = time.monotonic() + CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
    try:
        row = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        logger.info("database is large: only part of it was checked", extra={"path": str(path)})
        return
    finally:
        connection.set_progress_handler(None, 0)
    if row[0] != "ok":
        raise StorageStartError(_CORRUPT.format(path=path, reason=str(row[0]).replace("\n", " ")))


def _migrate(connection: sqlite3.Connection, path: Path, steps: Mapping[str, str]) -> None:
    database = Database(connection)
    tables = set(database.table_names())
    known = Migrations(MIGRATION_SET)
    for name, text in steps.items():
        known(name=name)(_step(text))
    if tables and Migrations.migrations_table not in tables:
        raise StorageStartError(
            f"{path} is a database of another program; set WEIR_DATABASE_URL to a file of Weir's own"
        )
    unknown = sorted({step.name for step in known.applied(database)} - set(steps))
    if unknown:
        raise StorageStartError(
            f"{path} was written by a newer version of Weir (its schema has {', '.join(unknown)}); "
            "start that version, or set WEIR_DATABASE_URL to another file"
        )
    known.apply(database)


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
    folder = path.parent
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if "locked" in reason:
        return f"{path} is locked by another process ({reason}); stop that one, or set WEIR_DATABASE_URL"
    return (
        f"cannot open the database {path}: {reason}; make {folder} writable for this user, "
        "or set WEIR_DATA_DIR or WEIR_DATABASE_URL"
    )

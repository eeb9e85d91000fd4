"""Backups of a database file, taken while it is served, and the way back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import Saved, StorageStartError, UpkeepError
from weir.metrics_api.storage.sqlite.opening import open_writer, recognise, sync_folder
from weir.metrics_api.storage.sqlite.ownership import owned

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".db"


def back_up(path: Path, target: Path) -> Saved:
    """Copy the database as it is at this moment, whoever writes to it, and look the copy over.

    The copy appears under its name only when it is whole, checked and on the disk.

    Raises:
        UpkeepError: there is no such copy now.
    """
    if not path.exists():
        raise UpkeepError(f"there is no database at {path}; set WEIR_DATA_DIR or WEIR_DATABASE_URL")
    if target.exists():
        raise UpkeepError(f"{target} is there already; name another file")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        saved = _copy(path, draft, target)
        draft.rename(target)
        sync_folder(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise UpkeepError(f"cannot back up {path} to {target}: {error}; no backup was made") from None
    finally:
        draft.unlink(missing_ok=True)
    return saved


def restore(backup: Path, path: Path, *, replace: bool) -> Saved:
    """Put a backup in the place of the database. What was there before is kept beside it.

    Raises:
        UpkeepError: the backup is not good, or there is a database already and `replace` is false.
        StorageStartError: a metrics API serves the database.
    """
    if not backup.is_file():
        raise UpkeepError(f"there is no backup {backup}")
    with owned(path, wait=0):
        old = [each for each in _files(path) if each.exists()]
        if old and not replace:
            raise UpkeepError(f"{path} is there already; say --replace to put the backup in its place")
        draft = path.with_name(f"{path.name}.restoring")
        draft.unlink(missing_ok=True)
        try:
            saved = _copy(backup, draft, path)
            _put_aside(path)
            draft.rename(path)
            sync_folder(path.parent)
        except (OSError, sqlite3.Error) as error:
            raise UpkeepError(f"cannot restore {backup} to {path}: {error}") from None
        finally:
            draft.unlink(missing_ok=True)
    return saved


def migrate(path: Path, *, compact: bool) -> None:
    """Bring the schema up to date, as a start does; give free space back to the disk if told.

    Raises:
        StorageStartError: it cannot be done; the message says why and what to do.
    """
    with owned(path, wait=0), closing(open_writer(path)) as connection:
        if compact:
            try:
                connection.execute("vacuum")
            except sqlite3.Error as error:
                raise UpkeepError(f"cannot compact {path}: {error}; nothing was changed") from None


def _copy(path: Path, draft: Path, shown: Path) -> Saved:
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with (
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as source,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        source.execute("pragma query_only = on")
        source.backup(copy)  # all pages in one step: of one moment, and whoever writes need not wait
        copy.execute("pragma journal_mode = delete")  # one file, with nothing beside it
        _look_over(copy, path)
        requests: int | None = copy.execute("select sum(requests) from rollup_1d").fetchone()[0]
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    return Saved(shown, draft.stat().st_size, requests or 0)


def _look_over(copy: sqlite3.Connection, path: Path) -> None:
    """All of it, however long that takes."""
    found = " ".join(str(copy.execute("pragma quick_check(1)").fetchone()[0]).split())
    if found != "ok":
        raise UpkeepError(f"{path} is damaged ({found})")
    try:
        recognise(copy, path, migrations())
    except StorageStartError as error:
        raise UpkeepError(str(error)) from None


def _put_aside(path: Path) -> None:
    """Keep what is there. The log goes before its database: it must never meet another one."""
    number = 1
    while any(each.exists() for each in _files(_aside(path, number))):
        number += 1
    database, *others = zip(_files(path), _files(_aside(path, number)), strict=True)
    for old, aside in others:
        if old.exists():
            old.rename(aside)
    old, aside = database
    if old.exists():
        aside.hardlink_to(old)


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.replaced-{number}")


def _files(path: Path) -> tuple[Path, Path, Path]:
    """A database, its write-ahead log and what those who use them share."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")

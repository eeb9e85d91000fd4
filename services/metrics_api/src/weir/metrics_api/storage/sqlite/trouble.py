"""What SQLite's errors mean to whoever must mend them, and what is known of the file's own state."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from weir.metrics_api.storage.port import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_PRIMARY: Final = 0xFF
"""Extended error codes hold the plain one in their lowest byte."""
_WORDS: Final = {
    sqlite3.SQLITE_BUSY: "{path} is locked by another process ({error}); it is tried again",
    sqlite3.SQLITE_LOCKED: "{path} is locked ({error}); it is tried again",
    sqlite3.SQLITE_FULL: "the disk is full ({error}); make room where {path} is, the rest is tried again",
    sqlite3.SQLITE_READONLY: "{path} is read-only ({error}); make it and its folder writable for this user",
    sqlite3.SQLITE_IOERR: "{path} cannot be read or written ({error}); look after the disk it is on",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened ({error}); it, its folder or its disk is closed to us",
}
_DAMAGES: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def damaged(path: Path, reason: object) -> str:
    """That a file is damaged, and the ways out."""
    found = " ".join(str(reason).split())
    return (
        f"{path} is damaged ({found}). Weir does not write to it and does not replace it. Stop the metrics "
        "API; then restore a backup: weir restore BACKUP.db --replace (in a container: python -m "
        "weir.metrics_api restore BACKUP.db --replace); or save what is left: "
        f"sqlite3 {path} .recover | sqlite3 recovered.db; or move it away to start empty"
    )


class DatabaseFile:
    """The file as it was opened. Damage that anybody has seen stays known until the next start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: str | None = None
        self._identity = _identity(path)

    def confirm(self) -> None:
        """Return if it may be written to.

        Raises:
            StorageError: it is damaged, or is no longer where it was, so that what is written would be lost.
        """
        if self.damage is not None:
            raise StorageError(self.damage)
        if _identity(self.path) != self._identity:
            raise StorageError(
                f"SQLite: {self.path} was deleted or replaced while it was open; put the file back, or start "
                "the metrics API again to use what is there now"
            )

    def error(self, error: sqlite3.Error) -> StorageError:
        """What to raise for an error of SQLite."""
        code: int = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        if code in _DAMAGES:
            self.damage = f"SQLite: {damaged(self.path, error)}"
            return StorageError(self.damage)
        words = _WORDS.get(code)
        return StorageError(f"SQLite: {words.format(path=self.path, error=error) if words else error}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

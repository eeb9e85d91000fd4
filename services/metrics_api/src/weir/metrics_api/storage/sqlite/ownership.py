"""One process serves a database file at a time: a lock beside the file, gone with the process.

SQLite would let several write. But a process knows what it stored and reads the stream under the file's name,
and restoring must never happen beneath one that serves.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from weir.metrics_api.storage.port import StorageStartError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 10.0
"""The one before may still finish its work: it is waited for."""
_PAUSE_SECONDS: Final = 0.05


def lock_of(path: Path) -> Path:
    """The file that says who serves a database. It stays when nobody does."""
    return path.with_name(f"{path.name}.lock")


@contextmanager
def owned(path: Path, wait: float = WAIT_SECONDS) -> Generator[None]:
    """Keep all other processes from serving or restoring the database of this path.

    Raises:
        StorageStartError: another one does, and went on for `wait` seconds.
    """
    lock = _opened(lock_of(path))
    try:
        _take(lock, path, wait)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def _opened(lock: Path) -> int:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageStartError(
            f"cannot write to {lock}: {os.strerror(error.errno or 0)}; make {lock.parent} writable for this "
            "user, or set WEIR_DATA_DIR or WEIR_DATABASE_URL"
        ) from None


def _take(lock: int, path: Path, wait: float) -> None:
    deadline = time.monotonic() + wait
    said = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            if time.monotonic() > deadline:
                raise StorageStartError(
                    f"{path} is served by another metrics API (process {holder or 'unknown'}); "
                    "stop that one, or set WEIR_DATABASE_URL to another file"
                ) from None
            if not said:
                logger.warning("waiting for another metrics API to end", extra={"its_process": holder})
                said = True
            time.sleep(_PAUSE_SECONDS)
        else:
            return

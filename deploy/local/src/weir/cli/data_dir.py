"""The data directory: writable, and one launcher's alone."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LOCK_NAME = "launcher.lock"


@contextmanager
def locked(data_dir: Path) -> Generator[int]:
    """Create the directory if need be and hold its lock; gives the lock's file descriptor.

    Raises:
        StartError: it cannot be written to, or another launcher uses it.
    """
    path = data_dir / LOCK_NAME
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"cannot write to the data directory {data_dir}: {os.strerror(error.errno or 0)}; "
            "mend its permissions or set WEIR_DATA_DIR to another folder"
        ) from None
    try:
        _take(lock, data_dir)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, data_dir: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(_occupied(os.pread(lock, 32, 0).decode(), data_dir)) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _occupied(pid: str, data_dir: Path) -> str:
    if _lives(pid):
        return (
            f"another weir run (process {pid}) uses the data directory {data_dir}; "
            "stop it or set WEIR_DATA_DIR to another folder"
        )
    return (
        f"the processes of a weir run that was killed still finish their work in {data_dir}; "
        "try again in a few seconds"
    )


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True

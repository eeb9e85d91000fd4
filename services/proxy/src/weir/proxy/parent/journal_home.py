"""The proxy's folder in the journal: one owner at a time, found again after a crash.

The owner holds a lock that the kernel lets go when the process dies, and touches its file every second. A
folder that nobody has touched for a while is taken over by another proxy that sees it; when its owner comes
back, that one gives way.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MOST_ON_ONE_HOST: Final = 100
_LOCK: Final = "lock"
_WANTED: Final = "wanted"
_ADOPTED: Final = b"adopted"
_GIVE_WAY_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 0.02


class JournalHome:
    """A locked folder `<data dir>/journal/<proxy id>`."""

    def __init__(self, directory: Path, lock_fd: int) -> None:
        self.directory = directory
        self._lock_fd = lock_fd

    @property
    def proxy_id(self) -> str:
        return self.directory.name

    @classmethod
    def claim(cls, data_dir: Path, wanted_id: str) -> JournalHome:
        """Lock the folder of `wanted_id`, or of `wanted_id-2` and so on where another proxy lives in it.

        Raises:
            StartError: the folder cannot be written.
        """
        for number in range(1, _MOST_ON_ONE_HOST):
            proxy_id = wanted_id if number == 1 else f"{wanted_id}-{number}"
            directory = (data_dir / "journal" / proxy_id).resolve()
            try:
                lock_fd = _lock_as_owner(directory)
            except OSError as error:
                raise StartError(
                    f"the journal folder {directory} cannot be written: {error.strerror};"
                    " mend its permissions or set WEIR_DATA_DIR to another folder"
                ) from None
            if lock_fd is not None:
                return cls(directory, lock_fd)
        raise StartError(f"{_MOST_ON_ONE_HOST} proxies already run as {wanted_id}; set WEIR_PROXY_ID")

    def touch(self) -> None:
        """Say that the owner lives."""
        os.utime(self._lock_fd)

    def abandoned(self, seconds: float, now: Callable[[], float] = time.time) -> list[JournalHome]:
        """The folders beside this one whose owners have been gone for so long; each is locked for us now."""
        found: list[JournalHome] = []
        for directory in sorted(self.directory.parent.iterdir()):
            if directory == self.directory or _is_wanted(directory):
                continue
            try:
                if now() - (directory / _LOCK).stat().st_mtime < seconds:
                    continue
                lock_fd = _lock(directory)
                if lock_fd is not None:
                    os.pwrite(lock_fd, _ADOPTED, 0)
                    found.append(JournalHome(directory, lock_fd))
            except OSError:
                continue  # no journal folder, or gone in this very moment
        return found

    @property
    def is_wanted(self) -> bool:
        """Whether the owner has come back and waits for us to give way."""
        return _is_wanted(self.directory)

    def close(self) -> None:
        os.close(self._lock_fd)

    def remove(self) -> None:
        """Close it, and remove the folder if nothing is left in it but the lock."""
        with suppress(OSError):
            if [path.name for path in self.directory.iterdir()] == [_LOCK]:
                (self.directory / _LOCK).unlink()
                self.directory.rmdir()
        self.close()


def _lock_as_owner(directory: Path) -> int | None:
    """Lock a folder to live in it; None if its owner lives."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + _GIVE_WAY_SECONDS
    try:
        while (lock_fd := _lock(directory)) is None:
            if _content(directory / _LOCK) != _ADOPTED or time.monotonic() > deadline:
                return None
            (directory / _WANTED).touch()
            time.sleep(_STEP_SECONDS)
    finally:
        (directory / _WANTED).unlink(missing_ok=True)
    os.ftruncate(lock_fd, 0)
    os.utime(lock_fd)
    return lock_fd


def _is_wanted(directory: Path) -> bool:
    """Who waits touches the file again and again; an old one was left by a process that was killed."""
    try:
        return time.time() - (directory / _WANTED).stat().st_mtime < _GIVE_WAY_SECONDS
    except FileNotFoundError:
        return False


def _lock(directory: Path) -> int | None:
    """The descriptor of the locked file; None if another process holds the lock.

    Raises:
        OSError: the folder cannot be written.
    """
    path = directory / _LOCK
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(fd)  # an adopter has just removed the folder that this file was in


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""

"""A writer's marks: which requests it has in flight, and how far its records are, where no SIGKILL reaches.

A marks file holds one slot for each request in flight, with the record it would have if the process died now.
A slot is length, CRC-32, payload; length 0 is a free slot. In the place of slot 0 stands the header: the
magic, and numbers that outlive the writer (`MarksHeader`).

The writer holds a lock on the file for as long as its process runs. A worker outlives its parent for a
while; whoever takes over the journal leaves it alone until the lock is free.

When a dead writer's open marks have become records (journal_adoption), only the header of the file is left.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MARKS_MAGIC: Final = b"WEIRMRK2"
MARKS_SUFFIX: Final = ".marks"
UNBORN_SUFFIX: Final = ".unborn"
"""A marks file that its writer has not locked yet; one that stays has never been used."""
SLOT_BYTES: Final = 1024
_MARK: Final = struct.Struct("<II")
_NUMBER: Final = struct.Struct("<Q")
_DROPPED_AT: Final = 8
_JOURNALED_AT: Final = 16
_CRASHED_AT: Final = 24
_CONFIRMED_AT: Final = 32
_DAMAGED_AT: Final = 40
_SERVER_AT: Final = 48
_SERVER_BYTES: Final = 128


def marks_path(directory: Path, writer: str) -> Path:
    return directory / f"{writer}{MARKS_SUFFIX}"


class StartMarks:
    """The marks side of a worker."""

    def __init__(self, directory: Path, writer: str, slots: int) -> None:
        unborn = directory / f"{writer}{UNBORN_SUFFIX}"
        self._fd = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._fd, SLOT_BYTES * (slots + 1))
        self._map = mmap.mmap(self._fd, 0)
        self._map[: len(MARKS_MAGIC)] = MARKS_MAGIC
        unborn.rename(marks_path(directory, writer))  # whoever sees it finds it locked
        self._free = list(range(slots, 0, -1))

    def take(self) -> int | None:
        """A free slot's number, or None when as many requests are in flight as there are slots."""
        return self._free.pop() if self._free else None

    def fits(self, payload: bytes) -> bool:
        return len(payload) <= SLOT_BYTES - _MARK.size

    def mark(self, slot: int, payload: bytes) -> None:
        """Note what is known of the request in `slot`. The length, written last, makes it valid."""
        at = slot * SLOT_BYTES
        data = _MARK.pack(len(payload), zlib.crc32(payload)) + payload
        self._map[at : at + 4] = b"\0\0\0\0"
        self._map[at + 4 : at + len(data)] = data[4:]
        self._map[at : at + 4] = data[:4]

    def release(self, slot: int) -> None:
        """The request in `slot` has its record."""
        at = slot * SLOT_BYTES
        self._map[at : at + 4] = b"\0\0\0\0"
        self._free.append(slot)

    def count_dropped(self) -> None:
        """A record could not be written. The count outlives the worker."""
        _NUMBER.pack_into(self._map, _DROPPED_AT, _NUMBER.unpack_from(self._map, _DROPPED_AT)[0] + 1)

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)


class MarksHeader:
    """The numbers in the header, each with one writer: the worker, or whoever ships its records."""

    def __init__(self, path: Path) -> None:
        """Map the header of a file that is there.

        Raises:
            OSError: it is not.
            ValueError: it is not a marks file.
        """
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SLOT_BYTES)
        if self._map[: len(MARKS_MAGIC)] != MARKS_MAGIC:
            self._map.close()
            raise ValueError(f"{path.name} is not a marks file")

    @property
    def dropped(self) -> int:
        """Records that the worker could not write."""
        return self._number(_DROPPED_AT)

    @property
    def journaled(self) -> int:
        """The number of the last record; known once the writer is dead and its marks are closed."""
        return self._number(_JOURNALED_AT)

    @property
    def crashed(self) -> int:
        """How many of them were made of open marks."""
        return self._number(_CRASHED_AT)

    @property
    def confirmed(self) -> int:
        """All records up to this number are confirmed by `server`, or damaged."""
        return self._number(_CONFIRMED_AT)

    @property
    def damaged(self) -> int:
        """How many up to `confirmed` were lost to damage."""
        return self._number(_DAMAGED_AT)

    @property
    def server(self) -> str:
        """Which Redis confirmed them; empty before the first."""
        return self._map[_SERVER_AT : _SERVER_AT + _SERVER_BYTES].rstrip(b"\0").decode(errors="replace")

    def close_marks(self, *, journaled: int, crashed: int) -> None:
        _NUMBER.pack_into(self._map, _JOURNALED_AT, journaled)
        _NUMBER.pack_into(self._map, _CRASHED_AT, crashed)

    def confirm(self, number: int, damaged: int, server: str) -> None:
        """How far the records are safe. A torn write of this makes some be sent twice, never none."""
        data = server.encode()[:_SERVER_BYTES].ljust(_SERVER_BYTES, b"\0")
        if self._map[_SERVER_AT : _SERVER_AT + _SERVER_BYTES] != data:
            _NUMBER.pack_into(self._map, _CONFIRMED_AT, 0)
            self._map[_SERVER_AT : _SERVER_AT + _SERVER_BYTES] = data
        _NUMBER.pack_into(self._map, _DAMAGED_AT, damaged)
        _NUMBER.pack_into(self._map, _CONFIRMED_AT, number)

    def close(self) -> None:
        self._map.close()

    def _number(self, at: int) -> int:
        number: int = _NUMBER.unpack_from(self._map, at)[0]
        return number


def lives(directory: Path, writer: str) -> bool:
    """Whether the process of this writer runs: it holds a lock that the kernel lets go when it dies."""
    try:
        fd = os.open(marks_path(directory, writer), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def open_marks(path: Path) -> list[bytes]:
    """The payloads of the requests that were in flight when the writer of this marks file died."""
    found: list[bytes] = []
    with path.open("rb") as file:
        if not file.read(SLOT_BYTES).startswith(MARKS_MAGIC):
            return []
        while len(slot := file.read(SLOT_BYTES)) == SLOT_BYTES:
            length, crc = _MARK.unpack_from(slot)
            payload = slot[_MARK.size : _MARK.size + length] if 0 < length <= SLOT_BYTES - _MARK.size else b""
            if payload and zlib.crc32(payload) == crc:
                found.append(payload)
    return found


def drop_slots(path: Path) -> None:
    """The open marks are records now: only the header is needed any more."""
    os.truncate(path, SLOT_BYTES)

"""The journal of a proxy: what a worker writes so that no crash loses a record, and how it is read back.

A *segment* is a file of frames after an eight-byte magic. A frame is the payload's length and CRC-32 (both
32-bit little-endian) and the payload, one encoded RequestEvent. Each append is one `write`, so what was
appended survives a SIGKILL of the worker: the pages belong to the kernel.

A *marks* file holds one slot for each request in flight, with the record it would have if the process died
now. A slot is length, CRC-32, payload; length 0 is a free slot.

Files are named `<writer>-<number>.segment` and `<writer>.marks`, where a writer is one life of one worker.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import time
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

SEGMENT_MAGIC: Final = b"WEIRSEG1"
MARKS_MAGIC: Final = b"WEIRMRK1"
SEGMENT_SUFFIX: Final = ".segment"
MARKS_SUFFIX: Final = ".marks"
FRAME: Final = struct.Struct("<II")
MAX_PAYLOAD: Final = 64 << 10
"""No record is longer; a longer length in a file is damage."""
SEGMENT_BYTES: Final = 8 << 20
SLOT_BYTES: Final = 1024
_RETRY_SECONDS: Final = 1.0


def segment_path(directory: Path, writer: str, number: int) -> Path:
    return directory / f"{writer}-{number:08d}{SEGMENT_SUFFIX}"


def marks_path(directory: Path, writer: str) -> Path:
    return directory / f"{writer}{MARKS_SUFFIX}"


def frame(payload: bytes) -> bytes:
    """The payload as it stands in a segment."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


class JournalWriter:
    """The append side: one writer's segments, in order.

    A write that fails (disk full, unwritable) drops the record, is counted and said once; serving goes on
    and the next second tries again.
    """

    def __init__(
        self,
        directory: Path,
        writer: str,
        *,
        max_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._monotonic = monotonic
        self._fd = -1
        self._number = 0
        self._size = 0
        self._retry_at = 0.0
        self._said = False

    def __repr__(self) -> str:
        state = "open" if self._fd >= 0 else "closed"
        return f"<JournalWriter {self._writer} {state}, segment {self._number} of {self._size} bytes>"

    def append(self, payload: bytes) -> bool:
        """Write one record. False if it had to be dropped."""
        if len(payload) > MAX_PAYLOAD:
            logger.error("record is too long for the journal", extra={"bytes": len(payload)})
            return False
        if (self._fd < 0 or self._size >= self._segment_bytes) and not self._open_next():
            return False
        data = frame(payload)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._give_up(os.strerror(error.errno or 0))
            return False
        if written != len(data):
            self._give_up("the disk is full")
            return False
        self._size += written
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_next(self) -> bool:
        if self._monotonic() < self._retry_at:
            return False
        self.close()
        path = segment_path(self._directory, self._writer, self._number + 1)
        try:
            if self._stored_bytes() >= self._max_bytes:
                self._give_up(f"it has reached its bound of {self._max_bytes} bytes")
                return False
            self._fd = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            os.write(self._fd, SEGMENT_MAGIC)
        except OSError as error:
            self._give_up(os.strerror(error.errno or 0))
            return False
        self._number += 1
        self._size = len(SEGMENT_MAGIC)
        if self._said:
            logger.info("journal takes records again", extra={"writer": self._writer})
            self._said = False
        return True

    def _stored_bytes(self) -> int:
        """Bytes of this writer's segments that are not freed yet; asked once a segment."""
        total = 0
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.startswith(f"{self._writer}-") and entry.name.endswith(SEGMENT_SUFFIX):
                    try:
                        total += entry.stat().st_size
                    except FileNotFoundError:
                        continue  # freed in this very moment
        return total

    def _give_up(self, reason: str) -> None:
        """Cut a half-written frame off and wait a second before the next try."""
        if self._fd >= 0:
            try:
                os.ftruncate(self._fd, self._size)
            except OSError:
                logger.debug("the torn end of a segment stays; the reader skips it")
            self.close()
        self._retry_at = self._monotonic() + _RETRY_SECONDS
        if not self._said:
            logger.error("journal drops records: %s", reason, extra={"directory": str(self._directory)})
            self._said = True


class StartMarks:
    """The marks side of a worker: which requests are in flight, kept where a SIGKILL cannot reach."""

    def __init__(self, directory: Path, writer: str, slots: int) -> None:
        path = marks_path(directory, writer)
        with path.open("wb") as file:
            file.truncate(SLOT_BYTES * (slots + 1))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._map[: len(MARKS_MAGIC)] = MARKS_MAGIC
        self._free = list(range(slots, 0, -1))

    def take(self) -> int | None:
        """A free slot's number, or None when as many requests are in flight as there are slots."""
        return self._free.pop() if self._free else None

    def fits(self, payload: bytes) -> bool:
        return len(payload) <= SLOT_BYTES - FRAME.size

    def mark(self, slot: int, payload: bytes) -> None:
        """Note what is known of the request in `slot`. The length, written last, makes it valid."""
        at = slot * SLOT_BYTES
        data = frame(payload)
        self._map[at : at + 4] = b"\0\0\0\0"
        self._map[at + 4 : at + len(data)] = data[4:]
        self._map[at : at + 4] = data[:4]

    def release(self, slot: int) -> None:
        """The request in `slot` has its record."""
        at = slot * SLOT_BYTES
        self._map[at : at + 4] = b"\0\0\0\0"
        self._free.append(slot)

    def close(self) -> None:
        self._map.close()


def open_marks(path: Path) -> list[bytes]:
    """The payloads of the requests that were in flight when the writer of this marks file died."""
    data = path.read_bytes()
    if not data.startswith(MARKS_MAGIC):
        return []
    found: list[bytes] = []
    for at in range(SLOT_BYTES, len(data), SLOT_BYTES):
        length, checksum = FRAME.unpack_from(data, at)
        if not 0 < length <= SLOT_BYTES - FRAME.size:
            continue
        payload = data[at + FRAME.size : at + FRAME.size + length]
        if zlib.crc32(payload) == checksum:
            found.append(payload)
    return found

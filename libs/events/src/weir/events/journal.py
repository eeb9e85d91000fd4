"""The journal of a proxy, append side: what a worker writes so that no crash loses a record.

A *segment* is a file of frames after an eight-byte magic. A frame is the payload's length and checksum (32
bits each), its number (64 bits), all little-endian, and the payload, one encoded RequestEvent. Numbers count
the records of one writer from 1 without a gap, so a reader knows how many a damaged place has cost. Each
append is one `write`, so what was appended survives a SIGKILL of the worker: the pages belong to the kernel.

Files are named `<writer>-<number>.segment` and `<writer>.marks` (journal_marks), where a writer is one life
of one worker: `<boot id>-<number>`.
"""

from __future__ import annotations

import logging
import os
import struct
import time
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

SEGMENT_MAGIC: Final = b"WEIRSEG2"
SEGMENT_SUFFIX: Final = ".segment"
FRAME: Final = struct.Struct("<IIQ")
MAX_PAYLOAD: Final = 64 << 10
"""No record is longer; a longer length in a file is damage."""
SEGMENT_BYTES: Final = 8 << 20
FULL: Final = -1
"""In place of an error number: the journal holds as much as it may."""
_SEGMENTS_AT_LEAST: Final = 8
_RETRY_SECONDS: Final = 1.0
_SAY_SECONDS: Final = 60.0
"""A disk at its limit may take some records and refuse others: it is not said each time."""
_PROBE: Final = bytes(4096)
"""Not a frame, wherever it is cut."""


def segment_path(directory: Path, writer: str, number: int) -> Path:
    return directory / f"{writer}-{number:08d}{SEGMENT_SUFFIX}"


def checksum(payload: bytes, number: int) -> int:
    """Over the payload and, by what it starts from, the number."""
    return zlib.crc32(payload, (number ^ number >> 32) & 0xFFFFFFFF)


def frame(payload: bytes, number: int) -> bytes:
    """The payload as it stands in a segment."""
    return FRAME.pack(len(payload), checksum(payload, number), number) + payload


class JournalWriter:
    """One writer's segments, in order.

    A write that fails (disk full, unwritable, bound reached) drops the record and is said once; serving goes
    on, nothing is kept in memory, and the next second tries again.
    """

    def __init__(
        self,
        directory: Path,
        writer: str,
        *,
        max_bytes: int,
        sync: bool = False,
        overrun: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_bytes` bounds all segments in the folder, whoever wrote them; each writer may overrun it by
        the rest of its segment.

        `sync`: each record is on the disk, not only with the kernel, when `append` returns.
        `overrun`: the bound holds for `takes_records` alone; a record that is there is written all the same.
        """
        self._directory = directory
        self._writer = writer
        self._max_bytes = max_bytes
        self._sync = sync
        self._overrun = overrun
        self._segment_bytes = min(segment_bytes, max(1, max_bytes // _SEGMENTS_AT_LEAST))
        self._monotonic = monotonic
        self._fd = -1
        self._segment = 0
        self._size = 0
        self._number = 0
        self._retry_at = 0.0
        self._say_at = 0.0
        self.refusing = 0
        """Why it takes no records now: an error number or FULL; 0 while it does."""

    def __repr__(self) -> str:
        state = "open" if self._fd >= 0 else "closed"
        return f"<JournalWriter {self._writer} {state}, segment {self._segment} of {self._size} bytes>"

    def append(self, payload: bytes) -> bool:
        """Write one record. False if it had to be dropped."""
        if len(payload) > MAX_PAYLOAD:
            logger.error("record is too long for the journal", extra={"bytes": len(payload)})
            return False
        if (self.refusing or self._fd < 0 or self._size >= self._segment_bytes) and not self._make_ready(
            overrun=self._overrun
        ):
            return False
        number = self._number + 1
        # As `frame` does it; here it is done for every request, and two calls are a tenth of the whole.
        check = zlib.crc32(payload, (number ^ number >> 32) & 0xFFFFFFFF)
        data = FRAME.pack(len(payload), check, number) + payload
        try:
            if (written := os.write(self._fd, data)) < len(data):
                self._write(data[written:])
            if self._sync:
                _sync_data(self._fd)
        except OSError as error:
            self._give_up(error)
            return False
        self._number = number
        self._size += len(data)
        if self.refusing > 0:
            self._recovered()
        return True

    def takes_records(self) -> bool:
        """False where there is no room for the record of a new request, and that one is to be refused."""
        if not self._overrun or (self.refusing == 0 and self._fd >= 0 and self._size < self._segment_bytes):
            return True
        self.look_again()
        return self.refusing == 0 and self._make_ready(overrun=False)

    def look_again(self) -> None:
        """See whether records are taken again, when they were not: nobody may be bringing one."""
        if self.refusing == 0 or not self._make_ready(overrun=False) or self.refusing == 0:
            return
        try:
            self._write(_PROBE)
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            self._give_up(error)
            return
        self._recovered()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _make_ready(self, *, overrun: bool) -> bool:
        """A segment with room, if it may be had now. Why not is in `refusing`."""
        if self._monotonic() < self._retry_at and not (overrun and self.refusing == FULL):
            return False
        try:
            has_room = self._fd >= 0 and self._size < self._segment_bytes
            if not has_room or self.refusing == FULL:
                if _stored_bytes(self._directory) >= self._max_bytes:
                    self._refuse(FULL)
                    if not overrun:
                        return False
                elif self.refusing == FULL:
                    self._recovered()
            if not has_room:
                self._begin_segment()
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def _write(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        while written < len(data):  # the disk is full, and the next write says so
            written += os.write(self._fd, data[written:])

    def _begin_segment(self) -> None:
        self.close()
        path = segment_path(self._directory, self._writer, self._segment + 1)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._fd = fd
        self._size = 0
        try:
            self._write(SEGMENT_MAGIC)
            if self._sync:
                sync_directory(self._directory)
        except OSError:
            self.close()
            raise
        self._segment += 1
        self._size = len(SEGMENT_MAGIC)

    def _give_up(self, error: OSError) -> None:
        """Cut a half-written frame off and wait a second before the next try."""
        if self._fd >= 0:
            try:
                os.ftruncate(self._fd, self._size)
            except OSError:
                logger.debug("the torn end of a segment stays; the reader skips it")
                self.close()
        self._refuse(error.errno or FULL)

    def _refuse(self, reason: int) -> None:
        now = self._monotonic()
        self._retry_at = now + _RETRY_SECONDS
        if self.refusing == 0 and now >= self._say_at:
            self._say_at = now + _SAY_SECONDS
            logger.error("journal takes no records: %s", why(reason), extra={"folder": str(self._directory)})
        self.refusing = reason

    def _recovered(self) -> None:
        self.refusing = 0
        logger.info("journal takes records again", extra={"writer": self._writer})


def why(refusing: int) -> str:
    """A person's words for `JournalWriter.refusing`."""
    return "it holds as much as WEIR_JOURNAL_MAX_BYTES allows" if refusing == FULL else os.strerror(refusing)


def sync_directory(directory: Path) -> None:
    """Put the names of new files onto the disk, too."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_data(fd: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:  # macOS
        os.fsync(fd)


def _stored_bytes(directory: Path) -> int:
    """Bytes of all segments that are not freed yet; asked once a segment."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(SEGMENT_SUFFIX):
                try:
                    total += entry.stat().st_size
                except FileNotFoundError:
                    continue  # freed in this very moment
    return total

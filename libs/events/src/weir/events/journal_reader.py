"""The read side of the journal: follows living writers, adopts dead ones, frees what is acknowledged."""

from __future__ import annotations

import logging
import os
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from weir.events.journal import (
    FRAME,
    MARKS_SUFFIX,
    MAX_PAYLOAD,
    SEGMENT_MAGIC,
    SEGMENT_SUFFIX,
    segment_path,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

_READ_BYTES: Final = 256 << 10
"""More than one frame can be, so a full read without a whole frame in it is damage."""


@dataclass(slots=True)
class _Segment:
    path: Path
    fd: int
    read_to: int = len(SEGMENT_MAGIC)
    acknowledged_to: int = len(SEGMENT_MAGIC)
    complete: bool = False
    """Nothing will be appended any more, and all of it has been read."""


@dataclass(slots=True)
class _Writer:
    name: str
    alive: bool
    segments: list[_Segment] = field(default_factory=list["_Segment"])
    next_number: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Records read together, and how far each segment is done when they have been acknowledged."""

    payloads: list[bytes]
    positions: list[tuple[_Segment, int]]


class JournalReader:
    """All segments in a journal directory, as one sequence of records to ship."""

    def __init__(self, directory: Path, *, keep_seconds: float, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._keep_seconds = keep_seconds
        self._now = now
        self._writers: dict[str, _Writer] = {}
        self.corrupt_frames = 0

    def __repr__(self) -> str:
        return f"<JournalReader of {self._directory}: {len(self._writers)} writers>"

    def follow(self, name: str) -> None:
        """A writer that lives from now on."""
        self._writers.setdefault(name, _Writer(name, alive=True))

    def ended(self, name: str) -> None:
        """The writer will append nothing more: a torn end of its last segment is final."""
        self._writers.setdefault(name, _Writer(name, alive=False)).alive = False

    def left_behind(self) -> list[str]:
        """The writers with files here that are not followed: they died with an earlier proxy."""
        names = {
            path.stem if path.suffix == MARKS_SUFFIX else path.stem.rpartition("-")[0]
            for path in self._directory.iterdir()
            if path.suffix in {SEGMENT_SUFFIX, MARKS_SUFFIX}
        }
        return sorted(names - self._writers.keys())

    def adopt(self, name: str) -> None:
        """Read what a dead writer left, whatever number its segments start at."""
        numbers = sorted(
            int(path.stem.rpartition("-")[2]) for path in self._directory.glob(f"{name}-*{SEGMENT_SUFFIX}")
        )
        writer = self._writers[name] = _Writer(name, alive=False)
        for number in numbers:
            self._open(writer, number)

    def read(self, limit: int) -> Batch:
        """Up to about `limit` records that have not been read yet, oldest first within each writer."""
        payloads: list[bytes] = []
        positions: list[tuple[_Segment, int]] = []
        for writer in list(self._writers.values()):
            self._discover(writer)
            for segment in writer.segments:
                if segment.complete or len(payloads) >= limit:
                    continue
                final = not writer.alive or segment is not writer.segments[-1]
                before = segment.read_to
                self._read_segment(segment, payloads, limit, final=final)
                if segment.read_to != before:
                    positions.append((segment, segment.read_to))
                if not segment.complete:
                    break
        return Batch(payloads, positions)

    def acknowledge(self, batch: Batch) -> None:
        """The batch is safe elsewhere."""
        for segment, position in batch.positions:
            segment.acknowledged_to = max(segment.acknowledged_to, position)

    def give_back(self, batch: Batch) -> None:
        """The batch could not be shipped: read it again."""
        for segment, _ in batch.positions:
            segment.read_to = segment.acknowledged_to
            segment.complete = False

    def rewind(self) -> None:
        """Read all that is still kept again: the other side may have lost what it confirmed."""
        for writer in self._writers.values():
            for segment in writer.segments:
                segment.read_to = segment.acknowledged_to = len(SEGMENT_MAGIC)
                segment.complete = False

    def free(self) -> None:
        """Delete the segments that are acknowledged whole and older than the time to keep."""
        oldest = self._now() - self._keep_seconds
        for writer in list(self._writers.values()):
            self._discover(writer)  # Redis may have been away, and nothing read, for all of its life
            while writer.segments:
                segment = writer.segments[0]
                done = segment.complete and segment.acknowledged_to == segment.read_to
                if not done or os.fstat(segment.fd).st_mtime > oldest:
                    break
                os.close(segment.fd)
                segment.path.unlink(missing_ok=True)
                writer.segments.pop(0)
            if not writer.alive and not writer.segments:
                del self._writers[writer.name]

    def unread_bytes(self) -> int:
        """Bytes that wait to be read or acknowledged."""
        return sum(
            max(0, os.fstat(segment.fd).st_size - segment.acknowledged_to)
            for writer in self._writers.values()
            for segment in writer.segments
            if not (segment.complete and segment.acknowledged_to == segment.read_to)
        )

    def close(self) -> None:
        for writer in self._writers.values():
            for segment in writer.segments:
                os.close(segment.fd)
        self._writers.clear()

    def _discover(self, writer: _Writer) -> None:
        """Open the writer's next segments as they appear. Segments of one life are numbered without a gap."""
        while self._open(writer, writer.next_number):
            pass

    def _open(self, writer: _Writer, number: int) -> bool:
        path = segment_path(self._directory, writer.name, number)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        writer.segments.append(_Segment(path, fd))
        writer.next_number = number + 1
        return True

    def _read_segment(self, segment: _Segment, payloads: list[bytes], limit: int, *, final: bool) -> None:
        while len(payloads) < limit:
            data = os.pread(segment.fd, _READ_BYTES, segment.read_to)
            if used := self._parse(data, payloads, limit):
                segment.read_to += used
            elif skip := self._damage(data):
                segment.read_to += skip
            else:
                # Nothing is left but perhaps a frame that is still being written, or a torn end.
                if final and data:
                    self.corrupt_frames += 1
                    logger.warning("journal segment has a torn end", extra={"segment": segment.path.name})
                segment.complete = final
                return

    def _parse(self, data: bytes, payloads: list[bytes], limit: int) -> int:
        at = 0
        while len(payloads) < limit and at + FRAME.size <= len(data):
            length, checksum = FRAME.unpack_from(data, at)
            end = at + FRAME.size + length
            if not 0 < length <= MAX_PAYLOAD or end > len(data):
                break
            payload = data[at + FRAME.size : end]
            if zlib.crc32(payload) != checksum:
                break
            payloads.append(payload)
            at = end
        return at

    def _damage(self, data: bytes) -> int:
        """The distance to the next whole frame; 0 if what is there may be a frame not yet whole."""
        for at in range(1, len(data) - FRAME.size):
            length, checksum = FRAME.unpack_from(data, at)
            payload = data[at + FRAME.size : at + FRAME.size + length] if 0 < length <= MAX_PAYLOAD else b""
            if payload and len(payload) == length and zlib.crc32(payload) == checksum:
                break
        else:
            if len(data) < _READ_BYTES:
                return 0
            at = len(data) - FRAME.size - MAX_PAYLOAD
        self.corrupt_frames += 1
        logger.warning("skipped a damaged journal frame", extra={"bytes": at})
        return at

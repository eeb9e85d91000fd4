"""The journal of a proxy, read side: follows living writers, adopts dead ones, frees what is acknowledged."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from weir.events.journal import SEGMENT_MAGIC, SEGMENT_SUFFIX, segment_path, sync_directory
from weir.events.journal_adoption import segment_numbers
from weir.events.journal_frames import LONGEST_FRAME, next_frame, whole_frames
from weir.events.journal_marks import MARKS_SUFFIX, MarksHeader, marks_path, open_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

_READ_BYTES: Final = 256 << 10
"""More than one frame can be, so a full read without a whole frame in it is damage."""
_PRESSED: Final = 0.75
"""Of its bound: from here on what is acknowledged goes before its time."""
_MOST_SEGMENTS: Final = 256
"""Files that are kept open, about: from here on, too."""


class Count(NamedTuple):
    """Records up to a place in the journal."""

    number: int
    damaged: int
    """How many of them were lost to damage."""


_NONE: Final = Count(0, 0)


@dataclass(slots=True)
class _Segment:
    path: Path
    fd: int
    read_to: int = len(SEGMENT_MAGIC)
    confirmed_to: int = len(SEGMENT_MAGIC)
    complete: bool = False
    """Nothing will be appended any more, and all of it has been read."""
    confirmed_at: float | None = None
    """When something of it was confirmed last, on our monotonic clock; None where not in our time."""
    synced: int = 0

    @property
    def is_done(self) -> bool:
        return self.complete and self.confirmed_to == self.read_to


@dataclass(slots=True)
class _Writer:
    name: str
    alive: bool
    segments: list[_Segment] = field(default_factory=list["_Segment"])
    next_segment: int = 1
    header: MarksHeader | None = None
    server: str = ""
    """Which Redis has confirmed what is confirmed."""
    skip_to: int = 0
    """Records up to this number were confirmed before our time."""
    resend_to: int = 0
    """Up to this number the Redis of now has not confirmed all, though an earlier one had."""
    read: Count | None = None
    """The furthest that was read; None before the first record of an unknown beginning."""
    confirmed: Count = _NONE
    """The furthest that was confirmed by any Redis."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a writer's records are done when a batch has been acknowledged."""

    writer: _Writer
    segment: _Segment
    offset: int
    last: int
    """The number of the last whole record before that place; 0 if this reading found none."""
    damaged: int


@dataclass(slots=True)
class Batch:
    """Records read together. Who ships them takes out what is confirmed until none is left."""

    payloads: list[bytes]
    positions: list[Position]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the records of one writer are. Those in the journal are `journaled - confirmed`."""

    confirmed: int
    """Records up to this number are confirmed or damaged."""
    damaged: int
    waiting_bytes: int
    journaled: int
    """This and the next two are known of dead writers only, when their marks are closed."""
    crashed: int
    dropped: int


class JournalReader:
    """All segments in a journal directory, as one sequence of records to ship."""

    def __init__(
        self,
        directory: Path,
        *,
        keep_seconds: float,
        max_bytes: int = 1 << 62,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_bytes` is what the journal may hold; near it, acknowledged segments are freed early.

        `monotonic` is the clock by which `free` is told what is stored.
        """
        self._directory = directory
        self._keep_seconds = keep_seconds
        self._max_bytes = max_bytes
        self._now = now
        self._monotonic = monotonic
        self._writers: dict[str, _Writer] = {}
        self.corrupt_places = 0
        """Damaged places skipped, torn ends included."""

    def __repr__(self) -> str:
        return f"<JournalReader of {self._directory}: {len(self._writers)} writers>"

    @property
    def writers(self) -> list[str]:
        return list(self._writers)

    def follow(self, name: str) -> None:
        """A writer that lives from now on."""
        self._writers.setdefault(name, _Writer(name, alive=True, read=_NONE))

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

    def adopt(self, name: str, *, is_whole: bool = True) -> None:
        """Read what a dead writer left and was not confirmed, whatever number its segments start at.

        `is_whole`: nothing will be appended any more; otherwise `ended` says when.
        """
        writer = self._writers[name] = _Writer(name, alive=not is_whole)
        for number in segment_numbers(self._directory, name):
            self._open(writer, number)
        if (header := self._header(writer)) is not None:
            writer.server, writer.skip_to = header.server, header.confirmed
            writer.read = writer.confirmed = Count(header.confirmed, header.damaged)

    def read(self, limit: int) -> Batch:
        """Up to about `limit` records that have not been read yet, oldest first within each writer."""
        batch = Batch([], [])
        for writer in list(self._writers.values()):
            for segment in self._segments(writer):
                if segment.complete or len(batch.payloads) >= limit:
                    continue
                final = not writer.alive or segment is not writer.segments[-1]
                before = segment.read_to
                last = self._read_segment(writer, segment, batch.payloads, limit, final=final)
                if segment.read_to != before:
                    damaged = (writer.read or _NONE).damaged
                    batch.positions.append(Position(writer, segment, segment.read_to, last, damaged))
                if not segment.complete:
                    break
        return batch

    def acknowledge(self, batch: Batch, server: str) -> None:
        """The batch is safe in this Redis."""
        for position in batch.positions:
            writer, segment = position.writer, position.segment
            segment.confirmed_to = max(segment.confirmed_to, position.offset)
            segment.confirmed_at = self._monotonic()
            os.utime(segment.fd)  # who adopts it sees when that was
            writer.confirmed = max(writer.confirmed, Count(position.last, position.damaged))
            writer.server = server
            if position.last >= writer.resend_to and (header := self._header(writer)) is not None:
                header.confirm(*writer.confirmed, server)

    def give_back(self, batch: Batch) -> None:
        """The batch could not be shipped: read it again."""
        for position in batch.positions:
            position.segment.read_to = position.segment.confirmed_to
            position.segment.complete = False

    def rewind(self, server: str) -> bool:
        """Read all that is kept and was confirmed by another Redis than this again. Whether there is any."""
        found = False
        for writer in self._writers.values():
            if writer.server in {"", server}:
                continue
            writer.server, writer.skip_to = server, 0
            writer.resend_to = writer.confirmed.number
            if (header := self._header(writer)) is not None:
                header.confirm(0, writer.confirmed.damaged, server)
            for segment in writer.segments:
                segment.read_to = segment.confirmed_to = len(SEGMENT_MAGIC)
                segment.complete = False
                segment.confirmed_at = None
                found = True
        return found

    def free(self, stored_until: float) -> list[str]:
        """Delete the segments that are acknowledged whole, older than the time to keep, and stored.

        `stored_until`: what was acknowledged before this moment of the monotonic clock is in the database.
        Where that takes long, the oldest go all the same near the bounds, in bytes and in files.
        Returns the dead writers of whose records nothing is left; `dismiss` ends them.
        """
        pressed = self._stored_bytes() - _PRESSED * self._max_bytes
        too_many = sum(len(writer.segments) for writer in self._writers.values()) - _MOST_SEGMENTS
        gone: list[str] = []
        for writer in list(self._writers.values()):
            self._segments(writer)
            while writer.segments and writer.segments[0].is_done:
                segment = writer.segments[0]
                if not self._is_old(segment, stored_until) and pressed <= 0 and too_many <= 0:
                    break
                pressed -= os.fstat(segment.fd).st_size
                too_many -= 1
                os.close(segment.fd)
                segment.path.unlink(missing_ok=True)
                writer.segments.pop(0)
            if not writer.alive and not writer.segments:
                gone.append(writer.name)
        return gone

    def dismiss(self, name: str) -> None:
        """Forget a writer that `free` named, its header included."""
        writer = self._writers.pop(name)
        if writer.header is not None:
            writer.header.close()
        marks_path(self._directory, name).unlink(missing_ok=True)

    def standing(self, name: str) -> Standing:
        """Where a writer's records are."""
        writer = self._writers[name]
        header = self._header(writer)
        return Standing(
            confirmed=writer.confirmed.number,
            damaged=writer.confirmed.damaged,
            waiting_bytes=_waiting_bytes(self._segments(writer)),
            journaled=max(writer.confirmed.number, header.journaled if header is not None else 0),
            crashed=header.crashed if header is not None else 0,
            dropped=header.dropped if header is not None else 0,
        )

    def unread_bytes(self) -> int:
        """Bytes that wait to be read or acknowledged, all of those included that are still to be adopted."""
        waiting = sum(_waiting_bytes(self._segments(writer)) for writer in self._writers.values())
        return waiting + sum(self._left_bytes(name) for name in self.left_behind())

    def sync(self) -> Callable[[], None]:
        """What has to be done so that all that is written now outlives the machine; to be called in a thread.

        It raises OSError when the disk fails.
        """
        grown: list[tuple[int, int, _Segment]] = []
        fresh = False
        for writer in self._writers.values():
            for segment in self._segments(writer):
                size = os.fstat(segment.fd).st_size
                if size != segment.synced:
                    fresh = fresh or segment.synced == 0
                    grown.append((os.dup(segment.fd), size, segment))
        return lambda: _sync(grown, self._directory if fresh else None)

    def close(self) -> None:
        for writer in self._writers.values():
            for segment in writer.segments:
                os.close(segment.fd)
            if writer.header is not None:
                writer.header.close()
        self._writers.clear()

    def _left_bytes(self, name: str) -> int:
        """Records of a writer that is not followed, and those that its open marks may become."""
        sizes = [
            path.stat().st_size
            for number in segment_numbers(self._directory, name)
            if (path := segment_path(self._directory, name, number)).exists()
        ]
        marks = marks_path(self._directory, name)
        return sum(sizes) + sum(map(len, open_marks(marks) if marks.exists() else ()))

    def _header(self, writer: _Writer) -> MarksHeader | None:
        """The writer makes its marks file; it may not be there yet, or be damaged."""
        if writer.header is None:
            try:
                writer.header = MarksHeader(marks_path(self._directory, writer.name))
            except (OSError, ValueError):
                return None
        return writer.header

    def _is_old(self, segment: _Segment, stored_until: float) -> bool:
        if segment.confirmed_at is not None:
            age = self._monotonic() - segment.confirmed_at
            return age >= self._keep_seconds and segment.confirmed_at < stored_until
        return self._now() - os.fstat(segment.fd).st_mtime >= self._keep_seconds

    def _stored_bytes(self) -> int:
        return sum(
            os.fstat(segment.fd).st_size for writer in self._writers.values() for segment in writer.segments
        )

    def _segments(self, writer: _Writer) -> list[_Segment]:
        """Those that are here now, read or not. Segments of one life are numbered without a gap."""
        while self._open(writer, writer.next_segment):
            pass
        return writer.segments

    def _open(self, writer: _Writer, number: int) -> bool:
        path = segment_path(self._directory, writer.name, number)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        writer.segments.append(_Segment(path, fd))
        writer.next_segment = number + 1
        return True

    def _read_segment(
        self, writer: _Writer, segment: _Segment, payloads: list[bytes], limit: int, *, final: bool
    ) -> int:
        """Read on in a segment, and say the number of the last record found; 0 if there was none."""
        last = 0
        while (room := limit - len(payloads)) > 0:
            data = os.pread(segment.fd, _READ_BYTES, segment.read_to)
            found, numbers, used = whole_frames(data, room)
            if used:
                segment.read_to += used
                last = numbers[-1]
                self._count(writer, numbers)
                if numbers[0] > writer.skip_to:
                    payloads += found
                else:
                    pairs = zip(found, numbers, strict=True)
                    payloads += [payload for payload, number in pairs if number > writer.skip_to]
            elif skip := self._damage(data):
                segment.read_to += skip
            else:
                # Nothing is left but perhaps a frame that is still being written, or a torn end.
                if final and data:
                    self.corrupt_places += 1
                    logger.warning("journal segment has a torn end", extra={"segment": segment.path.name})
                segment.complete = final
                break
        return last

    def _count(self, writer: _Writer, numbers: Sequence[int]) -> None:
        """Numbers that are missing among these are records lost to damage."""
        read = writer.read or Count(numbers[0] - 1, 0)
        if numbers[-1] > read.number:
            found = (
                sum(number > read.number for number in numbers) if numbers[0] <= read.number else len(numbers)
            )
            read = Count(numbers[-1], read.damaged + numbers[-1] - read.number - found)
        writer.read = read

    def _damage(self, data: bytes) -> int:
        """The distance to the next whole frame; 0 if what is there may be a frame not yet whole."""
        skip = next_frame(data)
        if not skip:
            if len(data) < _READ_BYTES:
                return 0
            skip = len(data) - LONGEST_FRAME
        self.corrupt_places += 1
        logger.warning("skipped a damaged place in the journal", extra={"bytes": skip})
        return skip


def _waiting_bytes(segments: Sequence[_Segment]) -> int:
    return sum(
        max(0, os.fstat(segment.fd).st_size - segment.confirmed_to)
        for segment in segments
        if not segment.is_done
    )


def _sync(grown: list[tuple[int, int, _Segment]], directory: Path | None) -> None:
    """A segment counts as synced when all of it is: what failed is tried again the next time."""
    try:
        for fd, _, _ in grown:
            os.fsync(fd)
        if directory is not None:
            sync_directory(directory)
        for _, size, segment in grown:
            segment.synced = size
    finally:
        for fd, _, _ in grown:
            os.close(fd)

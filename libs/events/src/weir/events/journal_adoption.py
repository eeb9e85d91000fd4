"""The end of a dead writer: its torn end is cut off, and what it had in flight becomes records.

Both go into its own last segment, so it can be broken off at any instant and done again: a mark whose request
already has a record there is passed over. That is the mark of a worker that died between writing a record and
releasing its mark, or of an adopter that died before it could drop the marks.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from weir.events.journal import SEGMENT_MAGIC, SEGMENT_SUFFIX, frame, segment_path
from weir.events.journal_frames import next_frame, whole_frames
from weir.events.journal_marks import MarksHeader, drop_slots, marks_path, open_marks

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

CRASHED: Final = "proxy_crashed"
"""The `error_type` of a record that was made of an open mark."""
_ALL: Final = 1 << 62
_LOOK_BACK: Final = 2
"""Segments in which records of open marks may be: a mark outlives its record by no more."""


class _Identity(msgspec.Struct):
    request_id: str
    error_type: str | None = None


_identity = msgspec.json.Decoder(_Identity)


@dataclass(slots=True)
class _End:
    """What is at the end of a segment."""

    last: int = 0
    size: int = len(SEGMENT_MAGIC)
    """Up to the end of the last whole frame."""
    seen: set[str] = field(default_factory=set[str])
    crashed: int = 0


def segment_numbers(directory: Path, writer: str) -> list[int]:
    """The numbers of the segments that a writer has here."""
    stems = (path.stem.rpartition("-") for path in directory.glob(f"{writer}-*{SEGMENT_SUFFIX}"))
    return sorted(int(number) for name, _, number in stems if name == writer and number.isdigit())


def close_marks(directory: Path, writer: str) -> int:
    """Make records of the open marks of a dead writer; how many. A writer without marks is left as it is.

    Raises:
        OSError: they cannot be written now. Nothing is lost; do it again later.
    """
    path = marks_path(directory, writer)
    marks = open_marks(path) if path.exists() else []
    try:
        header = MarksHeader(path)
    except FileNotFoundError:
        return 0
    except ValueError:
        logger.error("a damaged marks file is left alone", extra={"file": path.name})  # noqa: TRY400 - says it all
        return 0
    try:
        if header.journaled and not marks:
            return 0
        numbers = segment_numbers(directory, writer)
        ends = [_read_end(segment_path(directory, writer, number)) for number in numbers[-_LOOK_BACK:]]
        last = max((end.last for end in ends), default=header.confirmed)
        seen = {identity for end in ends for identity in end.seen}
        left = [mark for mark in marks if (who := _identify(mark)) is not None and who.request_id not in seen]
        crashed = sum(end.crashed for end in ends)
        if numbers:
            _append(segment_path(directory, writer, numbers[-1]), ends[-1].size, left, last)
        elif left:
            _append(segment_path(directory, writer, 1), 0, left, last)
        header.close_marks(journaled=last + len(left), crashed=crashed + len(left))
        drop_slots(path)
        return len(left)
    finally:
        header.close()


def _append(path: Path, size: int, payloads: list[bytes], last: int) -> None:
    """Cut the torn end off and put the payloads there: all of them or none."""
    data = b"".join(frame(payload, number) for number, payload in enumerate(payloads, last + 1))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(fd, size)
        if not data:
            return
        if size == 0:
            data = SEGMENT_MAGIC + data
        at = 0
        try:
            while at < len(data):
                at += os.pwrite(fd, data[at:], size + at)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)


def _read_end(path: Path) -> _End:
    end = _End()
    data = path.read_bytes()
    at = len(SEGMENT_MAGIC)
    if len(data) < at:
        end.size = 0
    while at < len(data):
        payloads, numbers, used = whole_frames(data[at:], _ALL)
        if not used:
            if not (skip := next_frame(data[at:])):
                break
            at += skip
            continue
        at += used
        end.size, end.last = at, numbers[-1]
        for payload in payloads:
            if (who := _identify(payload)) is not None:
                end.seen.add(who.request_id)
                end.crashed += who.error_type == CRASHED
    return end


def _identify(payload: bytes) -> _Identity | None:
    try:
        return _identity.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

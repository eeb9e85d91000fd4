"""What the files that are left know of a request that has no row: enough to see where it was lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from weir.events.journal import SEGMENT_MAGIC
from weir.events.journal_frames import next_frame, whole_frames
from weir.events.journal_marks import MarksHeader, marks_path, open_marks
from weir.events.stream import DEAD

if TYPE_CHECKING:
    from pathlib import Path

_ALL: Final = 1 << 62
_COMMAND_BYTES: Final = 400
"""Before the id in an append-only file stand the command, its key and the beginning of the record."""
_FLUSH: Final = b"FLUSHALL"


def inquest(directory: Path, request_id: str) -> str:
    """One line: when it was, and what each journal and Redis's append-only file below a folder say of it."""
    wanted = request_id.encode()
    found = [*_in_journals(directory, wanted), *_in_redis(directory, wanted)]
    when = datetime.fromtimestamp(int(request_id.replace("-", "")[:12], 16) / 1000, UTC)
    return f"{request_id}, accepted {when:%H:%M:%S.%f} UTC: {'; '.join(found) or 'no file knows it'}"


def _in_journals(directory: Path, wanted: bytes) -> list[str]:
    found: list[str] = []
    for path in sorted(directory.rglob("*.segment")):
        writer = path.stem.rpartition("-")[0]
        found += [
            f"record {number} in {path.name}, {_confirmed(path.parent, writer)}"
            for payload, number in _records(path)
            if wanted in payload
        ]
    for path in sorted(directory.rglob("*.marks")):
        found += [f"open mark in {path.name}" for mark in open_marks(path) if wanted in mark]
    return found


def _records(path: Path) -> list[tuple[bytes, int]]:
    data = path.read_bytes()[len(SEGMENT_MAGIC) :]
    found: list[tuple[bytes, int]] = []
    while data:
        payloads, numbers, used = whole_frames(data, _ALL)
        found += zip(payloads, numbers, strict=True)
        if not (skip := used or next_frame(data)):
            break
        data = data[skip:]
    return found


def _confirmed(directory: Path, writer: str) -> str:
    try:
        header = MarksHeader(marks_path(directory, writer))
    except (OSError, ValueError) as error:
        return f"whose marks cannot be read: {error}"
    try:
        return f"of which Redis {header.server[:8] or '(none)'} has confirmed up to {header.confirmed}"
    finally:
        header.close()


def _in_redis(directory: Path, wanted: bytes) -> list[str]:
    found: list[str] = []
    for path in sorted(directory.rglob("*.aof")):
        data = path.read_bytes()
        emptied = data.upper().rfind(_FLUSH)
        at = data.find(wanted)
        while at >= 0:
            dead = DEAD.encode() in data[max(0, at - _COMMAND_BYTES) : at]
            what = "as a dead letter" if dead else "as an entry"
            found.append(f"in {path.name} {what}{', before Redis was emptied' if at < emptied else ''}")
            at = data.find(wanted, at + 1)
    return found

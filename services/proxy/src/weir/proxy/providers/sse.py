"""Streams cut into events, incrementally: server-sent events and newline-delimited JSON, any split of bytes.

Grammars: WHATWG HTML, section "Server-sent events", parsing an event stream (LF, CRLF and CR); NDJSON.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

_EVENT_END: Final = re.compile(rb"(?>\r\n|\n|\r){2,}")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_LONGEST_BOUNDARY: Final = 3
MAX_HELD: Final = 64 << 10
"""A longer unfinished event is passed on in pieces, so that memory stays bounded."""


class Splitter:
    """Cuts a byte stream after its last whole event, and holds the unfinished one back.

    So an event of ours can be put after what was sent, and an event can be taken out, at any split of bytes.
    """

    __slots__ = ("_held", "between_events", "rests")
    boundaries: ClassVar[tuple[bytes, ...]]

    def __init__(self) -> None:
        self._held = b""
        self.between_events = True
        """Whether what has been given out ends with a whole event."""
        self.rests = True
        """The same, and nothing is held back."""

    def feed(self, data: bytes) -> bytes:
        """The bytes up to the end of the last whole event. Empty while one is unfinished."""
        if self._held:
            data = self._held + data
        boundaries = self.boundaries
        if data.endswith(boundaries[0]):
            self._held = b""
            self.between_events = self.rests = True
            return data
        end = max(data.rfind(boundary) + len(boundary) if boundary in data else 0 for boundary in boundaries)
        if end:
            self.between_events = True
        if len(data) - end > MAX_HELD:
            # The last bytes stay: a boundary may be split between this piece and the next.
            end = len(data) - _LONGEST_BOUNDARY
            self.between_events = False
        self._held = data[end:]
        self.rests = self.between_events and not self._held
        return data[:end]

    def rest(self) -> bytes:
        """What is held of an unfinished event."""
        held, self._held = self._held, b""
        return held

    @staticmethod
    def is_one(data: bytes) -> bool:
        """Whether `data` is plainly one event, as it nearly always is."""
        raise NotImplementedError

    @staticmethod
    def split(data: bytes) -> list[bytes]:
        """The raw events in `data`, each with its boundary, and what is left at the end."""
        raise NotImplementedError


class EventSplitter(Splitter):
    """Server-sent events end with an empty line."""

    __slots__ = ()
    boundaries: ClassVar[tuple[bytes, ...]] = (b"\n\n", b"\n\r\n", b"\r\r")

    @staticmethod
    def is_one(data: bytes) -> bool:
        # `in` takes three times as long as `find`, and looking for a single byte half as long as for two.
        return data[-2:] == b"\n\n" and data.find(b"\n") == len(data) - 2 and data.find(b"\r") < 0

    @staticmethod
    def split(data: bytes) -> list[bytes]:
        return split_events(data)


class LineSplitter(Splitter):
    """NDJSON: a line is an event."""

    __slots__ = ()
    boundaries: ClassVar[tuple[bytes, ...]] = (b"\n",)

    @staticmethod
    def is_one(data: bytes) -> bool:
        return data.find(b"\n") == len(data) - 1 and data[-1:] == b"\n" and data.find(b"\r") < 0

    @staticmethod
    def split(data: bytes) -> list[bytes]:
        return data.splitlines(keepends=True)


def split_events(data: bytes) -> list[bytes]:
    """The raw server-sent events in `data`, each with its boundary, and what is left at the end."""
    if b"\r" not in data and b"\n\n\n" not in data:
        events: list[bytes] = [event + b"\n\n" for event in data.split(b"\n\n")]
        events[-1] = events[-1][:-2]
        return events if events[-1] else events[:-1]
    events = list[bytes]()
    start = 0
    for match in _EVENT_END.finditer(data):
        events.append(data[start : match.end()])
        start = match.end()
    if start < len(data):
        events.append(data[start:])
    return events


def event_data(event: bytes) -> bytes:
    """The value of the event's `data` field, its lines joined by LF; empty if there is none."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]  # nearly all are one line
    lines = _LINE_END.split(event)
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))

"""A network that is a list of bytes: what a protocol does to its transport, to be looked at."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weir.proxy.wire.framing import Headers


class FakeTransport(asyncio.Transport):
    """Remembers what is written and what is asked of it. Closing it loses the connection only when told."""

    def __init__(self, peer: str = "192.0.2.7") -> None:
        super().__init__({"peername": (peer, 40_000)})
        self.writes: list[bytes] = []
        self.is_reading_paused = False
        self.has_eof = False
        self.closed = False
        self.aborted = False

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def take(self) -> bytes:
        """What was written since the last look."""
        written = self.written
        self.writes.clear()
        return written

    def write(self, data: Any) -> None:
        assert not self.closed, "written after closing"
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        assert not self.is_reading_paused, "paused twice"
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        assert self.is_reading_paused, "resumed without a pause"
        self.is_reading_paused = False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.closed, "ended after closing"
        self.has_eof = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


def headers(*lines: str) -> Headers:
    """Header lines as a parser gives them."""
    pairs = [line.encode("latin-1").partition(b": ") for line in lines]
    return [(name.lower(), name, value) for name, _, value in pairs]


def in_pieces(data: bytes, ends: Iterable[int]) -> list[bytes]:
    """The data cut at these places; a place may be named twice or lie outside."""
    cuts = sorted({min(max(end, 0), len(data)) for end in ends} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(cuts)]

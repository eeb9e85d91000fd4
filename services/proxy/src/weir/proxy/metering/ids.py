"""Request ids: UUID version 7 (RFC 9562 section 5.7), so that ids sort by time."""

from __future__ import annotations

import os
from typing import Final

_BUFFERED: Final = 64 * 10


class RequestIds:
    """Makes ids from the wall clock and the kernel's randomness, which is fetched for many at a time."""

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self, now_us: int) -> str:
        """A new id in the canonical form, such as `0193479a-5c1e-7d3a-9f00-8a6b2c4d5e6f`."""
        if self._at + 10 > len(self._random):
            self._random = os.urandom(_BUFFERED)
            self._at = 0
        tail = self._random[self._at : self._at + 10]
        self._at += 10
        milliseconds = now_us // 1000
        a = (tail[0] << 8 | tail[1]) & 0x0FFF | 0x7000
        b = (tail[2] << 8 | tail[3]) & 0x3FFF | 0x8000
        return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-{a:04x}-{b:04x}-{tail[4:].hex()}"

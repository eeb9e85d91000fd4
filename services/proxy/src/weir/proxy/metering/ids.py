"""Request ids: UUID version 7 (RFC 9562 section 5.7), so that ids sort by time."""

from __future__ import annotations

import os
from typing import Final

_BATCH: Final = 64
_RANDOM_BYTES: Final = 10


class RequestIds:
    """Makes ids from the wall clock and the kernel's randomness, which is fetched for many at a time."""

    def __init__(self) -> None:
        self._tails: list[str] = []
        self._millisecond = -1
        self._time = ""

    def next(self, now_us: int) -> str:
        """A new id in the canonical form, such as `0193479a-5c1e-7d3a-9f00-8a6b2c4d5e6f`."""
        millisecond = now_us // 1000
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._time = f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}-"
        if not self._tails:
            self._tails = _tails()
        return self._time + self._tails.pop()


def _tails() -> list[str]:
    """What follows the time: version, variant, and 74 random bits."""
    digits = os.urandom(_RANDOM_BYTES * _BATCH).hex()
    pieces = [digits[at : at + 2 * _RANDOM_BYTES] for at in range(0, len(digits), 2 * _RANDOM_BYTES)]
    return [f"7{one[:3]}-{'89ab'[int(one[3], 16) & 3]}{one[4:7]}-{one[7:19]}" for one in pieces]

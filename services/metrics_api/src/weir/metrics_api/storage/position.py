"""The key of a request in its table: its time and a slot, so that the table is in order of time.

position = started_at (µs) * 2048 + slot. The slot comes from the random end of the request id; it only has
to differ between requests of the same microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOT_BITS: Final = 11
BUCKET_BITS: Final = 24
"""Of a roll-up row's id, the lower bits are those of its combination of dimensions."""
SLOTS: Final = 1 << SLOT_BITS
_PER_MS: Final = 1000 << SLOT_BITS
_LAST: Final = (1 << 63) - 1


def position(started_at: int, request_id: bytes) -> int:
    return started_at << SLOT_BITS | (int.from_bytes(request_id[-2:], "big") & (SLOTS - 1))


def positions(started_at: Iterable[int], request_ids: Iterable[bytes]) -> list[int]:
    """As `position`, of many at once."""
    high = SLOTS - 1 >> 8
    return [
        moment << SLOT_BITS | (key[-2] & high) << 8 | key[-1]
        for moment, key in zip(started_at, request_ids, strict=True)
    ]


def next_slot(taken: int) -> int:
    """Another position of the same microsecond."""
    return taken & ~(SLOTS - 1) | (taken + 1) & (SLOTS - 1)


def first_of(ms: int) -> int:
    """The smallest position of a moment, Unix ms."""
    return min(max(ms, 0) * _PER_MS, _LAST)


def started_at(place: int) -> int:
    """µs since the epoch."""
    return place >> SLOT_BITS

"""Frames in a piece of a segment: which are whole, and where the next one is after damage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.events.journal import FRAME, MAX_PAYLOAD, checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_FRAME: Final = FRAME.size + MAX_PAYLOAD


def whole_frames(data: bytes, limit: int) -> tuple[Sequence[bytes], Sequence[int], int]:
    """The payloads of the whole frames at the beginning, their numbers, and the bytes they take."""
    payloads: list[bytes] = []
    numbers: list[int] = []
    at = 0
    unpack, size, length_of_all = FRAME.unpack_from, FRAME.size, len(data)
    while len(payloads) < limit and at + size <= length_of_all:
        length, check, number = unpack(data, at)
        end = at + size + length
        if not 0 < length <= MAX_PAYLOAD or end > length_of_all:
            break
        payload = data[at + size : end]
        if checksum(payload, number) != check:
            break
        payloads.append(payload)
        numbers.append(number)
        at = end
    return payloads, numbers, at


def next_frame(data: bytes) -> int:
    """The distance to the next whole frame after the first byte; 0 if there is none."""
    for at in range(1, len(data) - FRAME.size):
        length, check, number = FRAME.unpack_from(data, at)
        end = at + FRAME.size + length
        if not 0 < length <= MAX_PAYLOAD or end > len(data):
            continue
        if checksum(data[at + FRAME.size : end], number) == check:
            return at
    return 0

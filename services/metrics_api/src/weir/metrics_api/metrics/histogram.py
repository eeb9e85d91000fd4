"""Counts of values in logarithmic bins: mergeable by addition, so percentiles stay true at every zoom.

Bin `i` holds the values from GAMMA**i up to GAMMA**(i + 1), in the smallest unit that matters (µs for
times, a thousandth for rates). A quantile is answered with the bin's middle, at most `RELATIVE_ERROR` off.
The bins are fixed for ever: a change of GAMMA makes stored histograms unreadable.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from itertools import accumulate
from math import log
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RELATIVE_ERROR: Final = 0.0099
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG: Final = 1 / log(GAMMA)
LARGEST: Final = 3_600_000_000
"""Values above it (an hour in µs) are counted as this one."""
LAST_BIN: Final = int(log(LARGEST) * _PER_LOG)

_HEADER: Final = struct.Struct("<HBI")  # first bin, byte planes (0 = listed), number of values
_START: Final = _HEADER.size
_PLANES_AT: Final = 2
_LISTED_BYTES: Final = 2
_BYTE: Final = 256
_CASTS: Final[dict[int, Literal["H", "I", "Q"]]] = {2: "H", 4: "I", 8: "Q"}


def bin_of(value: float) -> int:
    """The bin of a value; what is below 1 falls into the first bin, what is too large into the last."""
    if value <= 1:
        return 0
    return min(int(log(value) * _PER_LOG), LAST_BIN)


def middle_of(index: int) -> float:
    """The value that stands for a bin: at most RELATIVE_ERROR from every value in it."""
    return 2 * GAMMA ** (index + 1) / (GAMMA + 1)


class Histogram:
    """Immutable counts by bin; bins without values are not held."""

    __slots__ = ("_bins",)

    def __init__(self, bins: Mapping[int, int] | None = None) -> None:
        self._bins: Mapping[int, int] = bins or {}

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """The histogram of values in their smallest unit."""
        return cls(Counter([bin_of(value) for value in values]))

    @property
    def n(self) -> int:
        """How many values were counted."""
        return sum(self._bins.values())

    @property
    def bins(self) -> Mapping[int, int]:
        return self._bins

    def quantile(self, q: float) -> float | None:
        """The value below which a share `q` of the values lies (nearest rank); None when there is none."""
        if not self._bins:
            return None
        filled = sorted(self._bins.items())
        cumulated = list(accumulate(count for _, count in filled))
        rank = max(1, -int(-q * cumulated[-1] // 1))
        place = next(i for i, so_far in enumerate(cumulated) if so_far >= rank)
        return middle_of(filled[place][0])

    def __add__(self, other: Histogram) -> Histogram:
        if not self._bins or not other.bins:
            return self if self._bins else other
        bins = dict(self._bins)
        for index, count in other.bins.items():
            bins[index] = bins.get(index, 0) + count
        return Histogram(bins)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._bins == other.bins

    def __hash__(self) -> int:
        return hash(frozenset(self._bins.items()))

    def __repr__(self) -> str:
        return f"<Histogram n={self.n} p50={self.quantile(0.5)} p99={self.quantile(0.99)}>"

    def to_bytes(self) -> bytes:
        """The stored form; empty bytes for an empty histogram.

        Of few values the bins are listed, one by one. Many are byte planes from the first bin to the last:
        the lowest byte of every count, then the next one, as many planes as the largest count needs. Both
        are added up at the speed of C: lists are joined and counted, planes become lanes of an integer.
        """
        bins = self._bins
        if not bins:
            return b""
        first, largest, total = min(bins), max(bins.values()), sum(bins.values())
        span = max(bins) - first + 1
        if total * _LISTED_BYTES < span:
            listed = [index for index in sorted(bins) for _ in range(bins[index])]
            return _HEADER.pack(first, 0, total) + struct.pack(f"<{total}H", *listed)
        planes = bytearray((largest.bit_length() + 7) // 8 * span)
        for index, count in bins.items():
            place = index - first
            while count:
                planes[place] = count & 0xFF
                count >>= 8  # noqa: PLW2901 - used up byte by byte
                place += span
        return _HEADER.pack(first, len(planes) // span, total) + planes

    @classmethod
    def from_bytes(cls, data: bytes) -> Histogram:
        return merge((data,))


def merge(stored: Iterable[bytes | None]) -> Histogram:
    """The sum of stored histograms."""
    listed: list[bytes] = []
    planes: list[bytes] = []
    for data in stored:
        if data:
            (planes if data[_PLANES_AT] else listed).append(data)
    bins = _sum_of_planes(planes) if planes else {}
    for index, count in Counter(array("H", b"".join([data[_START:] for data in listed]))).items():
        bins[index] = bins.get(index, 0) + count
    return Histogram(bins)


def merge_two(one: bytes, other: bytes) -> bytes:
    """The sum of two stored histograms, stored. Few values on top of many are counted in place."""
    first, planes, n = _HEADER.unpack_from(one)
    if planes == 1 and other[_PLANES_AT] == 0:
        added = array("H", other[_START:])
        if added[0] >= first and added[-1] < first + len(one) - _START:
            merged = bytearray(one)
            shift = _START - first
            for index in added:
                if merged[index + shift] == _BYTE - 1:
                    break
                merged[index + shift] += 1
            else:
                _HEADER.pack_into(merged, 0, first, planes, n + len(added))
                return bytes(merged)
    return merge((one, other)).to_bytes()


def count_of(data: bytes | None) -> int:
    """How many values a stored histogram holds, without decoding it."""
    return _HEADER.unpack_from(data)[2] if data else 0


def _sum_of_planes(stored: Sequence[bytes]) -> dict[int, int]:
    """Each becomes one large integer with a lane per bin, wide enough that no lane can overflow into the
    next; adding two of them is one addition, whatever the number of bins.
    """
    parts = [(data, *_HEADER.unpack_from(data)) for data in stored]
    total = sum(n for _, _, _, n in parts)
    width = 2 if total < 1 << 16 else 4 if total < 1 << 32 else 8
    base = min(first for _, first, _, _ in parts)
    lanes = 0
    for data, first, planes, _ in parts:
        lanes += int.from_bytes(_widen(data, planes, width), "little") << ((first - base) * width * 8)
    length = -(-lanes.bit_length() // (width * 8)) * width
    counts = memoryview(lanes.to_bytes(length, "little")).cast(_CASTS[width]).tolist()
    return {base + i: count for i, count in enumerate(counts) if count}


def _widen(data: bytes, planes: int, width: int) -> bytearray:
    span = (len(data) - _START) // planes
    lanes = bytearray(span * width)
    for plane in range(planes):
        start = _START + plane * span
        lanes[plane::width] = data[start : start + span]
    return lanes

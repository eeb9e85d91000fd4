"""Counts of values in logarithmic bins: mergeable by addition, so percentiles stay true at every zoom.

Bin `i` holds the values from GAMMA**i up to GAMMA**(i + 1), in the smallest unit that matters (µs for
times, a thousandth for rates). A quantile is answered with the bin's middle, at most `RELATIVE_ERROR` off.
The bins are fixed for ever: a change of GAMMA makes stored histograms unreadable.

A histogram is held as it is stored. Of few values the bins are listed after a 0, one by one and in order.
Of many there are, after a header, byte planes from the first bin to the last: the lowest byte of every count,
then the next one, as many planes as the largest count needs. Both are added up at the speed of C: lists are
joined and sorted, planes become lanes of a large integer.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from itertools import accumulate
from math import log
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

RELATIVE_ERROR: Final = 0.0099
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG: Final = 1 / log(GAMMA)
LARGEST: Final = 3_600_000_000
"""Values above it (an hour in µs) are counted as this one."""
LAST_BIN: Final = int(log(LARGEST) * _PER_LOG)

_LISTED: Final = b"\0"
_HEADER: Final = struct.Struct("<BHQ")  # byte planes, first bin, number of values
_START: Final = _HEADER.size
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

    __slots__ = ("_cumulated", "_stored")

    def __init__(self, bins: Mapping[int, int] | None = None, *, stored: bytes = b"") -> None:
        self._stored = _of_counts(bins) if bins else stored
        self._cumulated: tuple[int, list[int]] | None = None

    @classmethod
    def of(cls, values: Iterable[float], scale: float = 1.0) -> Self:
        """The histogram of `scale` times these values, in their smallest unit."""
        smallest = 1 / scale
        found = sorted([int(log(scale * value) * _PER_LOG) if value > smallest else 0 for value in values])
        if found and found[-1] > LAST_BIN:
            found = [min(index, LAST_BIN) for index in found]
        return cls.from_bytes(_of_sorted(found) if found else b"")

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        return cls(stored=stored)

    def to_bytes(self) -> bytes:
        """The stored form; empty bytes for an empty histogram. Equal counts have equal bytes."""
        return self._stored

    @property
    def n(self) -> int:
        """How many values were counted."""
        return count_of(self._stored)

    @property
    def bins(self) -> dict[int, int]:
        """The counts that are not 0, by bin."""
        if not self._stored:
            return {}
        first, counts = _counts(self._stored)
        return {first + place: count for place, count in enumerate(counts) if count}

    def quantile(self, q: float) -> float | None:
        """The value below which a share `q` of the values lies (nearest rank); None when there is none."""
        return self.quantiles(q)[0]

    def quantiles(self, *shares: float) -> list[float | None]:
        """As `quantile`, for several shares at once."""
        if not self._stored:
            return [None] * len(shares)
        n = count_of(self._stored)
        ranks = [max(1, -int(-q * n // 1)) for q in shares]
        if not self._stored[0]:
            listed = _listed(self._stored)
            return [middle_of(listed[rank - 1]) for rank in ranks]
        if self._cumulated is None:
            first, counts = _counts(self._stored)
            self._cumulated = first, list(accumulate(counts))
        first, cumulated = self._cumulated
        return [middle_of(first + bisect_left(cumulated, rank)) for rank in ranks]

    def __add__(self, other: Histogram) -> Histogram:
        if not self._stored or not other._stored:
            return self if self._stored else other
        return Histogram.from_bytes(merge_two(self._stored, other._stored))

    def without(self, other: Histogram) -> Histogram:
        """What is left when another one, which is part of it, is taken away."""
        if not self._stored or not other._stored:
            return self
        first, found = _counts(self._stored)
        start, taken = _counts(other._stored)
        counts = [*found]
        for place, count in enumerate(taken, start - first):
            if count and 0 <= place < len(counts):
                counts[place] = max(0, counts[place] - count)
        return Histogram.from_bytes(_of_row(first, counts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._stored == other._stored

    def __hash__(self) -> int:
        return hash(self._stored)

    def __repr__(self) -> str:
        return f"<Histogram n={self.n} p50={self.quantile(0.5)} p99={self.quantile(0.99)}>"


def merge(stored: Iterable[bytes | None]) -> Histogram:
    """The sum of stored histograms."""
    parts = [data for data in stored if data]
    if len(parts) <= 1:
        return Histogram.from_bytes(parts[0] if parts else b"")
    planes = [data for data in parts if data[0]]
    listed = [data[1:] for data in parts if not data[0]]
    bins = sorted(array("H", b"".join(listed)))
    return Histogram.from_bytes(_sum(planes, bins) if planes else _of_sorted(bins))


def merge_two(one: bytes, other: bytes) -> bytes:
    """The sum of two stored histograms, stored."""
    if one[0] and other[0]:
        return _sum((one, other), ())
    if not one[0] and not other[0]:
        return _of_sorted(sorted(_listed(one) + _listed(other)))
    many, few = (one, other) if one[0] else (other, one)
    added = _listed(few)
    return _counted_in(many, added) or _sum((many,), added)


def count_of(data: bytes | None) -> int:
    """How many values a stored histogram holds, without decoding it."""
    if not data:
        return 0
    return _HEADER.unpack_from(data)[2] if data[0] else len(data) // _LISTED_BYTES


def _listed(data: bytes) -> array[int]:
    return array("H", data[1:])


def _is_few(n: int, span: int) -> bool:
    """Whether listing the values takes less room than counting them."""
    return n * _LISTED_BYTES < span + _START


def _of_sorted(bins: Sequence[int]) -> bytes:
    """The stored form of bins in order, each as often as it has values."""
    first, n = bins[0], len(bins)
    span = bins[-1] - first + 1
    if _is_few(n, span):
        return _LISTED + array("H", bins).tobytes()
    counts = [0] * span
    for index in bins:
        counts[index - first] += 1
    return _of_lanes(first, array("I", counts).tobytes(), 4, n)


def _of_counts(bins: Mapping[int, int]) -> bytes:
    first, total = min(bins), sum(bins.values())
    span = max(bins) - first + 1
    if _is_few(total, span):
        return _of_sorted([index for index in sorted(bins) for _ in range(bins[index])])
    counts = array("Q", bytes(span * 8))
    for index, count in bins.items():
        counts[index - first] = count
    return _of_lanes(first, counts.tobytes(), 8, total)


def _of_row(first: int, counts: list[int]) -> bytes:
    """The stored form of counts from a bin on; those at both ends may be 0."""
    while counts and not counts[-1]:
        counts.pop()
    if not counts:
        return b""
    start = next(place for place, count in enumerate(counts) if count)
    first, counts, total = first + start, counts[start:], sum(counts)
    if _is_few(total, len(counts)):
        return _of_sorted([index for index, count in enumerate(counts, first) for _ in range(count)])
    return _of_lanes(first, array("Q", counts).tobytes(), 8, total)


def _of_lanes(first: int, lanes: bytes, width: int, total: int) -> bytes:
    """Byte planes of counts that are `width` bytes wide, up to the last plane that is not empty."""
    planes = [lanes[place::width] for place in range(width)]
    while not any(planes[-1]):
        planes.pop()
    return _HEADER.pack(len(planes), first, total) + b"".join(planes)


def _counted_in(many: bytes, added: Sequence[int]) -> bytes | None:
    """Few values counted in place on top of many; None when they do not fit between first and last bin."""
    planes, first, n = _HEADER.unpack_from(many)
    span = (len(many) - _START) // planes
    if added[0] < first or added[-1] >= first + span:
        return None
    counts = bytearray(many)
    shift = _START - first
    for index in added:
        place = index + shift
        while counts[place] == _BYTE - 1:
            counts[place] = 0
            place += span
            if place >= len(counts):
                return None
        counts[place] += 1
    _HEADER.pack_into(counts, 0, planes, first, n + len(added))
    return bytes(counts)


def _sum(stored: Sequence[bytes], bins: Sequence[int]) -> bytes:
    """The sum of planes and of bins in order.

    Each becomes one large integer with a lane per bin, wide enough that no lane can overflow into the next;
    adding two of them is one addition, whatever the number of bins.
    """
    parts = [(data, *_HEADER.unpack_from(data)) for data in stored]
    total = sum([n for _, _, _, n in parts]) + len(bins)
    width = 2 if total < 1 << 16 else 4 if total < 1 << 32 else 8
    first = min([first for _, _, first, _ in parts])
    last = max([first + (len(data) - _START) // planes for data, planes, first, _ in parts])
    if bins:
        first, last = min(first, bins[0]), max(last, bins[-1] + 1)
    span = last - first
    if _is_few(total, span):
        return _of_sorted(sorted([*bins, *(index for data in stored for index in _values(data))]))
    lanes = 0
    for data, planes, start, _ in parts:
        lanes += int.from_bytes(_widen(data, planes, width), "little") << ((start - first) * width * 8)
    if bins:
        counts = memoryview(bytearray(span * width)).cast(_CASTS[width])
        for index in bins:
            counts[index - first] += 1
        lanes += int.from_bytes(counts.cast("B"), "little")
    return _of_lanes(first, lanes.to_bytes(span * width, "little"), width, total)


def _values(data: bytes) -> Iterator[int]:
    """The bin of every value."""
    first, counts = _counts(data)
    return (first + place for place, count in enumerate(counts) for _ in range(count))


def _counts(data: bytes) -> tuple[int, Sequence[int]]:
    """The first bin and the counts from it on."""
    if not data[0]:
        bins = _listed(data)
        counts = [0] * (bins[-1] - bins[0] + 1)
        for index in bins:
            counts[index - bins[0]] += 1
        return bins[0], counts
    planes, first, _ = _HEADER.unpack_from(data)
    if planes == 1:
        return first, data[_START:]
    width = 2 if planes == 2 else 4 if planes <= 4 else 8  # noqa: PLR2004 - byte planes into lanes
    return first, memoryview(_widen(data, planes, width)).cast(_CASTS[width]).tolist()


def _widen(data: bytes, planes: int, width: int) -> bytearray:
    span = (len(data) - _START) // planes
    lanes = bytearray(span * width)
    for plane in range(planes):
        start = _START + plane * span
        lanes[plane::width] = data[start : start + span]
    return lanes

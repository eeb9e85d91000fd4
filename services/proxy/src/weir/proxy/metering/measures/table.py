"""The totals of one worker's series, in memory shared with the parent.

There is one writer, the worker, and no lock: totals are written to one of two banks while readers read the
other, and a single store makes the written one the one to read. So a reader, and whoever takes the table over
from a worker that was killed, finds the totals of one moment, however much was being written.

The table also says up to which record of the journal its totals count, so that nothing is counted twice or
left out when the rest is taken from the journal.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple

from weir.proxy.metering.measures.cells import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_SERIES: Final = 1024
MAX_LABELS_BYTES: Final = 1022
_BANKS: Final = 2
_HEADER: Final = 1 + 2 * _BANKS
"""64-bit numbers: how often was committed, whose last bit is the bank; of each bank, series and sequence."""
_HEADER_BYTES: Final = 64
_LABELS: Final = struct.Struct(f"<H{MAX_LABELS_BYTES}s")
_SERIES: Final = struct.Struct(f"={WIDTH}d")
_BANKS_AT: Final = _HEADER_BYTES + MAX_SERIES * _LABELS.size
_BANK_BYTES: Final = MAX_SERIES * _SERIES.size
_BYTES: Final = _BANKS_AT + _BANKS * _BANK_BYTES


class Reading(NamedTuple):
    """A table at one moment."""

    sequence: int
    """The record of the worker's journal up to which was counted."""
    series: list[tuple[bytes, tuple[float, ...]]]
    """Labels and totals, by the number of the series."""


class Table:
    """A mapped table; any number of readers, one writer at a time."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _BYTES)
        self._header = memoryview(self._map)[: 8 * _HEADER].cast("q")
        self._series = self._header[1 + 2 * self._bank]
        self._lacking: dict[int, Sequence[float]] = dict(
            enumerate(totals for _, totals in self.read().series)
        )
        """What the bank that is written next does not have yet."""

    def __repr__(self) -> str:
        return f"<Table of {self._series} series, commit {self._header[0]}>"

    def read(self) -> Reading:
        """All of it at one moment, even while the writer goes on."""
        header, mapped = self._header, self._map
        while True:
            commit = header[0]
            bank = commit % _BANKS
            count, sequence = header[1 + 2 * bank], header[2 + 2 * bank]
            labels = [_LABELS.unpack_from(mapped, _labels_at(number)) for number in range(count)]
            totals = list(_SERIES.iter_unpack(mapped[_at(bank, 0) : _at(bank, count)]))
            if header[0] == commit:
                found = [text[:size] for size, text in labels]
                return Reading(sequence, list(zip(found, totals, strict=True)))

    def add_series(self, labels: bytes) -> bool:
        """Number the next series, which readers see from the next commit on. False if there is no room."""
        if self._series >= MAX_SERIES or len(labels) > MAX_LABELS_BYTES:
            return False
        _LABELS.pack_into(self._map, _labels_at(self._series), len(labels), labels)
        self._series += 1
        return True

    def commit(self, changed: Iterable[tuple[int, Sequence[float]]], sequence: int) -> None:
        """Have readers see the new totals of these series, and all others as they were."""
        new = dict(changed)
        bank = (self._header[0] + 1) % _BANKS
        for number, totals in (self._lacking | new).items():
            _SERIES.pack_into(self._map, _at(bank, number), *totals)
        self._header[1 + 2 * bank] = self._series
        self._header[2 + 2 * bank] = sequence
        self._header[0] += 1
        self._lacking = new

    def close(self) -> None:
        self._header.release()
        self._map.close()

    @property
    def _bank(self) -> int:
        return self._header[0] % _BANKS


def _labels_at(number: int) -> int:
    return _HEADER_BYTES + number * _LABELS.size


def _at(bank: int, number: int) -> int:
    return _BANKS_AT + bank * _BANK_BYTES + number * _SERIES.size


def create_table() -> int:
    """The descriptor of a file without a name, to be mapped by the parent and inherited by the worker.

    It takes room only where something has been written.
    """
    with tempfile.TemporaryFile() as file:
        fd = os.dup(file.fileno())
    os.ftruncate(fd, _BYTES)
    return fd

"""Counters of one worker in memory shared with the parent: adding one costs no system call and no lock.

Each counter has one writer, the worker; the parent only reads. They live on when the worker dies, and the
worker started in its place goes on counting where it stopped.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Final

NAMES: Final = (
    "accepted",
    "journaled",
    "dropped",
    "not_found",
    "unauthorized",
    "malformed",
    "journal_full",
    "connections",
    "connections_refused",
    "connections_open",
    "journal_refusing",
    "in_flight_production",
    "in_flight_canary",
)
GAUGES: Final = frozenset(
    {"connections_open", "journal_refusing", "in_flight_production", "in_flight_canary"}
)
_INDEX: Final = {name: index for index, name in enumerate(NAMES)}
_BYTES: Final = 8 * len(NAMES)
_READ_AGAIN: Final = 100


class Counters:
    """The mapped numbers, by name."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _BYTES)
        self._values = memoryview(self._map).cast("q")

    def add(self, name: str, amount: int = 1) -> None:
        self._values[_INDEX[name]] += amount

    def set(self, name: str, value: int) -> None:
        self._values[_INDEX[name]] = value

    def reset_gauges(self) -> None:
        """A new worker has nothing in flight yet."""
        for name in GAUGES:
            self._values[_INDEX[name]] = 0

    def read(self) -> dict[str, int]:
        """All of them at one moment, even while the worker counts on."""
        values = self._values.tolist()
        for _ in range(_READ_AGAIN):
            if (again := self._values.tolist()) == values:
                break
            values = again
        return dict(zip(NAMES, values, strict=True))

    def close(self) -> None:
        self._values.release()
        self._map.close()


def create_file() -> int:
    """The descriptor of a file without a name, to be mapped by the parent and inherited by the worker."""
    with tempfile.TemporaryFile() as file:
        fd = os.dup(file.fileno())
    os.ftruncate(fd, _BYTES)
    return fd

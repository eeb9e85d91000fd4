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
    "connections",
    "connections_open",
    "in_flight_production",
    "in_flight_canary",
)
GAUGES: Final = frozenset({"connections_open", "in_flight_production", "in_flight_canary"})
_INDEX: Final = {name: index for index, name in enumerate(NAMES)}
_BYTES: Final = 8 * len(NAMES)


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
        return {name: self._values[index] for index, name in enumerate(NAMES)}

    def close(self) -> None:
        self._values.release()
        self._map.close()


def create_file() -> int:
    """The descriptor of a file without a name, to be mapped by the parent and inherited by the worker."""
    with tempfile.TemporaryFile() as file:
        fd = os.dup(file.fileno())
    os.ftruncate(fd, _BYTES)
    return fd

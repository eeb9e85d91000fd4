"""What is added up for each series: sums, and histograms with the bounds of OpenTelemetry's conventions.

A series is a row of numbers. The first counts its requests; each quantity has its own cells behind it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

REQUESTS: Final = 0
"""The cell that counts requests."""

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_SECONDS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN_SECONDS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS: Final = tuple(4.0**power for power in range(14))
OVERHEAD_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0)
"""Our own; the conventions have none."""


@dataclass(frozen=True, slots=True)
class Sum:
    """One cell."""

    at: int

    @property
    def end(self) -> int:
        return self.at + 1

    def add(self, totals: list[float], value: float) -> None:
        totals[self.at] += value


@dataclass(frozen=True, slots=True)
class Histogram:
    """The sum of the values, then how many are in each bucket: up to a bound, the last above all bounds."""

    at: int
    bounds: tuple[float, ...]

    @property
    def end(self) -> int:
        return self.at + len(self.bounds) + 2

    def add(self, totals: list[float], value: float) -> None:
        totals[self.at] += value
        totals[self.at + 1 + bisect_left(self.bounds, value)] += 1


DURATION: Final = Histogram(1, SECONDS)
FIRST_TOKEN: Final = Histogram(DURATION.end, FIRST_TOKEN_SECONDS)
PER_TOKEN: Final = Histogram(FIRST_TOKEN.end, PER_TOKEN_SECONDS)
OVERHEAD: Final = Histogram(PER_TOKEN.end, OVERHEAD_SECONDS)
INPUT: Final = Histogram(OVERHEAD.end, TOKENS)
OUTPUT: Final = Histogram(INPUT.end, TOKENS)
CACHE_READ: Final = Sum(OUTPUT.end)
CACHE_WRITE: Final = Sum(CACHE_READ.end)
REASONING: Final = Sum(CACHE_WRITE.end)
REUSE_LOST: Final = Sum(REASONING.end)
"""Kept connections that the upstream had closed just as they were used again."""

QUANTITIES: Final = (
    *(DURATION, FIRST_TOKEN, PER_TOKEN, OVERHEAD),
    *(INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING, REUSE_LOST),
)
"""In the order in which a request tells them; it tells None for what it has not."""
WIDTH: Final = REUSE_LOST.end
"""Cells of a series."""

Numbers = tuple[float | None, ...]
"""What one request adds: a value for each of QUANTITIES."""


def add(totals: list[float], numbers: Numbers) -> None:
    """Count one request."""
    totals[REQUESTS] += 1
    for quantity, value in zip(QUANTITIES, numbers, strict=True):
        if value is not None:
            quantity.add(totals, value)

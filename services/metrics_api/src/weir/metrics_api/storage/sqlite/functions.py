"""SQL functions over the values that only Python understands: histograms and maps of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from weir.metrics_api.metrics import histogram

if TYPE_CHECKING:
    import sqlite3


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    connection.create_function("histogram_merge", 2, merge_two, deterministic=True)
    connection.create_function("histogram_quantile", 2, quantile, deterministic=True)
    connection.create_function("sum_counts", 2, sum_counts, deterministic=True)
    connection.create_aggregate("histogram_of", 1, HistogramOf)  # pyright: ignore[reportArgumentType]  -- typeshed wants step() to take ints
    connection.create_aggregate("histogram_sum", 1, HistogramSum)  # pyright: ignore[reportArgumentType]  -- typeshed wants step() to take ints


def merge_two(one: bytes | None, other: bytes | None) -> bytes | None:
    if one is None or other is None:
        return other if one is None else one
    return histogram.merge_two(one, other)


def quantile(stored: bytes | None, q: float) -> float | None:
    return histogram.Histogram.from_bytes(stored).quantile(q) if stored else None


def sum_counts(one: str, other: str) -> str:
    """The sum of two JSON maps from names to counts."""
    counts: dict[str, int] = orjson.loads(one)
    for name, count in orjson.loads(other).items():
        counts[name] = counts.get(name, 0) + count
    return orjson.dumps(counts).decode()


class HistogramSum:
    """Aggregate: the sum of stored histograms."""

    def __init__(self) -> None:
        self._stored: list[bytes] = []

    def step(self, stored: bytes | None) -> None:
        if stored:
            self._stored.append(stored)

    def finalize(self) -> bytes | None:
        if len(self._stored) <= 1:
            return self._stored[0] if self._stored else None
        return histogram.merge(self._stored).to_bytes()


class HistogramOf:
    """Aggregate: the histogram of values."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def step(self, value: float | None) -> None:
        if value is not None:
            self._values.append(value)

    def finalize(self) -> bytes | None:
        return histogram.Histogram.of(self._values).to_bytes() or None

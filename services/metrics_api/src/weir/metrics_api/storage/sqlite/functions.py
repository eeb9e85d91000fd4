"""SQL functions over the values that only Python understands: histograms."""

from __future__ import annotations

import sqlite3

from weir.metrics_api.metrics import histogram


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    connection.create_aggregate("histogram_of", 1, HistogramOf)  # pyright: ignore[reportArgumentType]  -- typeshed wants step() to take ints


def spare_adaptation() -> None:
    """Tell sqlite3 at once what it would ask of every None, bytes and bool: whether it adapts itself.

    For each of these, of which a row has some twenty, it looks for two attributes that are not there, which
    takes longer than storing the row.
    """
    nothing: dict[None, None] = {}
    sqlite3.register_adapter(type(None), nothing.get)
    numbers = {True: 1, False: 0}
    sqlite3.register_adapter(bytes, bytes.__bytes__)
    sqlite3.register_adapter(bool, numbers.__getitem__)


class HistogramOf:
    """Aggregate: the histogram of values."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def step(self, value: float | None) -> None:
        if value is not None:
            self._values.append(value)

    def finalize(self) -> bytes | None:
        return histogram.Histogram.of(self._values).to_bytes() or None

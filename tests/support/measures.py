"""Tables of measures without a worker or a parent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from weir.proxy.metering.measures.labels import ModelNames
from weir.proxy.metering.measures.measures import Measures
from weir.proxy.metering.measures.table import Table, create_table

if TYPE_CHECKING:
    from collections.abc import Iterable


def new_table() -> Table:
    """A table that nobody else maps."""
    fd = create_table()
    try:
        return Table(fd)
    finally:
        os.close(fd)


def new_measures(table: Table | None = None, *, most: int = 10, models: Iterable[str] = ()) -> Measures:
    return Measures(table or new_table(), ModelNames(most, models))

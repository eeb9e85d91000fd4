"""How sqlite3 takes values in."""

from __future__ import annotations

import sqlite3


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

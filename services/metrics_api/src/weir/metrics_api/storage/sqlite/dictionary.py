"""Strings and combinations of dimensions that the database holds once, and their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from weir.metrics_api.metrics.dimension import Dimensions
from weir.metrics_api.storage.queries import query

if TYPE_CHECKING:
    import sqlite3

CACHED: Final = 100_000
MOST_COMBINATIONS: Final = 100_000
"""Above it what clients choose freely (models, projects, keys) is no longer counted apart."""


class Names(dict[str | None, int | None]):
    """The ids of strings, for one transaction at a time: a new one is inserted when it is first asked for."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__({None: None})
        self._connection = connection
        self._new: list[str | None] = []
        self._watched = False

    def watch(self) -> None:
        """From now on remember all that is used."""
        self.clear()
        self[None] = None
        self._watched = True

    def not_used_since(self, ids: list[int]) -> list[int]:
        """Which of these ids have not been asked for since `watch`; none where that is not known."""
        used = set(self.values())
        return [identifier for identifier in ids if identifier not in used] if self._watched else []

    def __missing__(self, name: str | None) -> int:
        row = self._connection.execute(query("name_add"), (name,)).fetchone()
        self[name] = row[0]
        self._new.append(name)
        return row[0]

    def committed(self) -> None:
        self._new.clear()
        if len(self) > CACHED:
            self.clear()
            self[None] = None
            self._watched = False

    def rolled_back(self) -> None:
        """Forget the ids that were given in the transaction."""
        for name in self._new:
            self.pop(name, None)
        self._new.clear()


class Combinations(dict[Dimensions, int]):
    """The ids of combinations of dimensions; as Names."""

    def __init__(self, connection: sqlite3.Connection, most: int = MOST_COMBINATIONS) -> None:
        super().__init__()
        self._connection = connection
        self._new: list[Dimensions] = []
        self._most = most
        self._count: int = connection.execute(query("dimensions_count")).fetchone()[0]

    def __missing__(self, dimensions: Dimensions) -> int:
        full = self._count >= self._most
        stored = dimensions.without_free_text() if full else dimensions
        row = self._connection.execute(
            query("dimensions_add"), (orjson.dumps(list(stored)).decode(), *stored)
        ).fetchone()
        self._count = max(self._count, row[0])
        self[dimensions] = row[0]
        self._new.append(dimensions)
        return row[0]

    def committed(self) -> None:
        self._new.clear()
        if len(self) > CACHED:
            self.clear()

    def rolled_back(self) -> None:
        for dimensions in self._new:
            self.pop(dimensions, None)
        self._new.clear()

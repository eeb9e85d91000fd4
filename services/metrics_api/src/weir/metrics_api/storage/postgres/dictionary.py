"""Strings and combinations of dimensions that the database holds once, and their ids.

They are learned before the transaction that needs them, each by a statement of its own: so no process ever
waits for another's batch, and one that is not needed in the end does no harm.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import orjson

from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.queries import query

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from weir.metrics_api.metrics.dimension import Dimensions
    from weir.metrics_api.storage.postgres.driver import Connection

CACHED: Final = 100_000
CACHED_SECONDS: Final = 3600.0
"""Ids of strings are asked for again after so long, which is how the database knows that they are used."""
FORGOTTEN_SECONDS: Final = 86_400.0
"""A string goes so long after no request was found to refer to it: then no process has its id in mind."""
MOST_COMBINATIONS: Final = 100_000
"""Above it what clients choose freely (models, projects, keys) is no longer counted apart."""
_DIGEST_BYTES: Final = 16


class Names:
    """The ids of strings."""

    def __init__(self) -> None:
        self.ids: dict[str | None, int | None] = {None: None}
        self._until = time.monotonic() + CACHED_SECONDS

    async def learn(self, connection: Connection, names: AbstractSet[str | None]) -> None:
        """Make sure that `ids` knows all of these."""
        if len(self.ids) > CACHED or time.monotonic() > self._until:
            self.ids = {None: None}
            self._until = time.monotonic() + CACHED_SECONDS
        missing = sorted(name for name in names if name not in self.ids and name is not None)
        if not missing:
            return
        await self._look_up(connection, missing)
        new = [name for name in missing if name not in self.ids]
        if new:
            await connection.execute(query("names_add", "postgres"), [texts.escaped(name) for name in new])
            await self._look_up(connection, new)

    async def _look_up(self, connection: Connection, names: list[str]) -> None:
        held = [texts.escaped(name) for name in names]
        found = await connection.fetch(query("names_known", "postgres"), held)
        gone = await self._keep(connection, [row[0] for row in found if row[2]])
        self.ids.update((row[1], row[0]) for row in found if row[0] not in gone)

    async def _keep(self, connection: Connection, unused: list[int]) -> set[int]:
        """Use strings again that were about to be forgotten; the ids of those that are."""
        if not unused:
            return set()
        kept = await connection.fetch(query("names_keep", "postgres"), unused)
        return set(unused) - {row[0] for row in kept}


class NamesById:
    """The strings of ids."""

    def __init__(self) -> None:
        self._names: dict[int | None, str | None] = {None: None}

    async def of(self, connection: Connection, ids: Iterable[int | None]) -> dict[int | None, str | None]:
        """A dictionary that has at least these."""
        if len(self._names) > CACHED:
            self._names = {None: None}
        known = self._names
        missing = {identifier for identifier in ids if identifier not in known}
        if missing:
            found = await connection.fetch(query("names_of", "postgres"), list(missing))
            known.update((row[0], row[1]) for row in found)
        return known


class Combinations:
    """The ids of combinations of dimensions."""

    def __init__(self, most: int = MOST_COMBINATIONS) -> None:
        self.ids: dict[Dimensions, int] = {}
        self._most = most
        self._newest = 0

    async def learn(self, connection: Connection, combinations: AbstractSet[Dimensions]) -> None:
        """Make sure that `ids` knows all of these."""
        if len(self.ids) > CACHED:
            self.ids = {}
        missing = {dimensions for dimensions in combinations if dimensions not in self.ids}
        if not missing:
            return
        await self._look_up(connection, {dimensions: dimensions for dimensions in missing})
        new = {dimensions for dimensions in missing if dimensions not in self.ids}
        if new:
            stored = {dimensions: self._stored(dimensions) for dimensions in new}
            rows = {_key(dimensions): dimensions for dimensions in stored.values()}
            await connection.executemany(
                query("dimensions_add", "postgres"), [(key, *rows[key]) for key in sorted(rows)]
            )
            await self._look_up(connection, stored)

    def _stored(self, dimensions: Dimensions) -> Dimensions:
        return dimensions.without_free_text() if self._newest >= self._most else dimensions

    async def _look_up(self, connection: Connection, stored: dict[Dimensions, Dimensions]) -> None:
        keys = {dimensions: _key(kept) for dimensions, kept in stored.items()}
        rows = await connection.fetch(query("dimensions_known", "postgres"), list(set(keys.values())))
        ids: dict[bytes, int] = {bytes(row[0]): row[1] for row in rows}
        self.ids.update({dimensions: ids[key] for dimensions, key in keys.items() if key in ids})
        self._newest = max(self._newest, *ids.values(), 0)


def _key(dimensions: Dimensions) -> bytes:
    return blake2b(orjson.dumps(list(dimensions)), digest_size=_DIGEST_BYTES).digest()

"""The PostgreSQL adapter: the port's questions, sent to the connection that answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from weir.metrics_api.storage.names_in_use import NAMES_AT_ONCE, ROWS_AT_ONCE, NamesInUse
from weir.metrics_api.storage.postgres import adding_up, asking, compacting, writing
from weir.metrics_api.storage.postgres.connections import Readers, Writer
from weir.metrics_api.storage.postgres.dictionary import NamesById
from weir.metrics_api.storage.postgres.opening import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.events import RequestEvent
    from weir.events.accounts import Account
    from weir.events.stream import StreamId
    from weir.metrics_api.storage.port import (
        Accounts,
        Filter,
        Gauges,
        Level,
        Minutes,
        Page,
        RollupAnswer,
        RollupQuestion,
        RowQuestion,
        SnapshotLevel,
        Snapshots,
        StoredSize,
        Window,
    )


class PostgresStore:
    """Implements `storage.port.Store`. Any number of them, in any number of processes, share a database."""

    kind = "postgresql"

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers
        self._writing = writing.Writing()
        self._names = NamesById()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the database, its schema brought up to date.

        Raises:
            StorageStartError: it cannot be used; the message says why and what to do.
        """
        await prepare(url)
        return cls(Writer(url), await Readers.open(url))

    async def close(self) -> None:
        await self._writer.close()
        await self._readers.close()

    async def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        return await self._writer.run(self._writing.add, events)

    async def requests(
        self, window: Window, filter_: Filter, *, limit: int, before: int | None = None
    ) -> Page:
        return await self._readers.run(asking.requests, self._names, window, filter_, limit, before)

    async def request(self, request_id: str) -> RequestEvent | None:
        return await self._readers.run(asking.request, self._names, request_id)

    async def last_request_at(self, filter_: Filter) -> int | None:
        return await self._readers.run(asking.last_request_at, filter_)

    async def rollups(self, question: RollupQuestion) -> list[RollupAnswer]:
        return await self._readers.run(adding_up.rollups, question)

    async def row_sums(self, question: RowQuestion) -> list[RollupAnswer]:
        return await self._readers.run(adding_up.row_sums, question)

    async def snapshots(self, level: SnapshotLevel, start: int) -> Snapshots:
        return await self._readers.run(adding_up.snapshots, level, start)

    async def minutes(self, start: int, variant: str | None) -> Minutes:
        return await self._readers.run(adding_up.minutes, start, variant)

    async def sample(self, at: int, gauges: Mapping[str, Gauges]) -> None:
        await self._writer.run(self._writing.sample, at, gauges)

    async def expire(self, level: Level, before: int, *, at_most: int) -> int:
        return await self._writer.run(writing.expire, level, before, at_most)

    async def expire_requests(self, before: int, *, at_most: int) -> int:
        return await self._writer.run(self._writing.expire_requests, before, at_most)

    async def forget_names(self, *, few: int) -> int:
        """In two steps with a day between: other processes may have ids in mind that no request has yet."""
        count, last = await self._readers.run(asking.names_held)
        if count <= few:
            return 0
        used = NamesInUse(last)
        start, rows = 0, ROWS_AT_ONCE
        while rows == ROWS_AT_ONCE:
            (found, end), *names = await self._readers.run(asking.names_used, start, ROWS_AT_ONCE)
            rows, start = found, end or 0
            used.note(row[1] for row in names)
        forgotten, after = 0, 0
        while page := await self._readers.run(asking.names_page, after, NAMES_AT_ONCE):
            after = page[-1]
            forgotten += await self._writer.run(writing.forget_names, used.unused(page))
        return forgotten

    async def tidy(self) -> None:
        """Merge what several processes counted apart; make next month's table in time."""
        await self._writer.run(self._writing.prepare_months)
        await compacting.compact(self._writer)

    async def accounts(self) -> Accounts:
        return await self._readers.run(asking.accounts)

    async def keep_accounts(self, accounts: Sequence[Account]) -> None:
        await self._writer.run(writing.keep_accounts, accounts)

    async def settled_to(self, stream: str) -> StreamId | None:
        return await self._readers.run(asking.settled_to, stream)

    async def note_settled(self, stream: str, entry: StreamId) -> None:
        await self._writer.run(writing.note_settled, stream, entry)

    async def size(self) -> StoredSize:
        return await self._readers.run(asking.size)

    async def check(self) -> None:
        await self._readers.run(asking.check)

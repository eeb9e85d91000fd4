"""The SQLite adapter: the port's questions, sent to the thread that answers them."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, Self

from weir.metrics_api.storage.names_in_use import NAMES_AT_ONCE, ROWS_AT_ONCE, NamesInUse
from weir.metrics_api.storage.port import UnstorableRecordError
from weir.metrics_api.storage.sqlite import asking
from weir.metrics_api.storage.sqlite.inspection import Inspection
from weir.metrics_api.storage.sqlite.opening import open_checked
from weir.metrics_api.storage.sqlite.threads import ReaderThreads, WriterThread
from weir.metrics_api.storage.sqlite.trouble import DatabaseFile
from weir.metrics_api.storage.sqlite.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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


_REFUSALS: Final = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, TypeError, ValueError)


class SqliteStore:
    """Implements `storage.port.Store`."""

    kind = "sqlite"

    def __init__(self, file: DatabaseFile, writing: Writing, inspection: Inspection | None) -> None:
        self._file = file
        self._writing = writing
        self._writer = WriterThread(file)
        self._readers = ReaderThreads(file)
        self._inspection = inspection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the database.

        Raises:
            StorageStartError: it cannot be used; the message says why and what to do.
        """
        connection, whole = open_checked(path)
        file = DatabaseFile(path)
        return cls(file, Writing(connection), None if whole else Inspection(file))

    async def close(self) -> None:
        if self._inspection is not None:
            await asyncio.to_thread(self._inspection.close)
        await self._writer.run_last(self._writing.close)
        self._writer.close()
        self._readers.close()

    async def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        try:
            return await self._writer.run(self._writing.add, events)
        except _REFUSALS as error:
            raise UnstorableRecordError(str(error)) from error

    async def requests(
        self, window: Window, filter_: Filter, *, limit: int, before: int | None = None
    ) -> Page:
        return await self._readers.run(asking.requests, window, filter_, limit, before)

    async def request(self, request_id: str) -> RequestEvent | None:
        return await self._readers.run(asking.request, request_id)

    async def last_request_at(self, filter_: Filter) -> int | None:
        return await self._readers.run(asking.last_request_at, filter_)

    async def rollups(self, question: RollupQuestion) -> list[RollupAnswer]:
        return await self._readers.run(asking.rollups, question)

    async def row_sums(self, question: RowQuestion) -> list[RollupAnswer]:
        return await self._readers.run(asking.row_sums, question)

    async def snapshots(self, level: SnapshotLevel, start: int) -> Snapshots:
        return await self._readers.run(asking.snapshots, level, start)

    async def minutes(self, start: int, variant: str | None) -> Minutes:
        return await self._readers.run(asking.minutes, start, variant)

    async def sample(self, at: int, gauges: Mapping[str, Gauges]) -> None:
        await self._writer.run(self._writing.sample, at, gauges)

    async def expire(self, level: Level, before: int, *, at_most: int) -> int:
        return await self._writer.run(self._writing.expire, level, before, at_most)

    async def expire_requests(self, before: int, *, at_most: int) -> int:
        return await self._writer.run(self._writing.expire_requests, before, at_most)

    async def forget_names(self, *, few: int) -> int:
        count, last = await self._readers.run(asking.names_held)
        if count <= few:
            return 0
        await self._writer.run(self._writing.watch_names)
        used = NamesInUse(last)
        start, rows = 0, ROWS_AT_ONCE
        while rows == ROWS_AT_ONCE:
            (found, end), *names = await self._readers.run(asking.names_used, start, ROWS_AT_ONCE)
            rows, start = found or 0, end or 0
            used.note(name for _, name in names)
        forgotten, after = 0, 0
        while page := await self._readers.run(asking.names_page, after, NAMES_AT_ONCE):
            after = page[-1]
            forgotten += await self._writer.run(self._writing.forget_names, used.unused(page))
        return forgotten

    async def tidy(self) -> None:
        await self._writer.run(self._writing.tidy)

    async def accounts(self) -> Accounts:
        return await self._readers.run(asking.accounts)

    async def keep_accounts(self, accounts: Sequence[Account]) -> None:
        await self._writer.run(self._writing.keep_accounts, accounts)

    async def settled_to(self, stream: str) -> StreamId | None:
        return await self._readers.run(asking.settled_to, stream)

    async def note_settled(self, stream: str, entry: StreamId) -> None:
        await self._writer.run(self._writing.note_settled, stream, entry)

    async def size(self) -> StoredSize:
        return await self._readers.run(asking.size)

    async def check(self) -> None:
        self._file.confirm()
        await self._readers.run(asking.check)

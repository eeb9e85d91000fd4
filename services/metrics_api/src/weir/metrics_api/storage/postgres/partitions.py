"""The monthly tables of requests. Which one a request is in follows from its id alone."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import asyncpg

from weir.metrics_api.storage.position import started_at
from weir.metrics_api.storage.queries import query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weir.metrics_api.storage.postgres.driver import Connection

logger = logging.getLogger(__name__)

LOCK: Final = 0x57454953
"""Held while a table is made, so that two processes do not make the same one."""
FIRST_YEAR: Final = 2020
LAST_YEAR: Final = 2099
_VERSION: Final = 7
_DECEMBER: Final = 12
_TIME_SHIFT: Final = 80
DROP_WAIT_MS: Final = 1500
"""Dropping a table needs the parent to itself: rather later than that all others wait behind it for long.
Longer than PostgreSQL takes to call an autovacuum off (deadlock_timeout, 1 s)."""
_TABLE: Final = re.compile(r"completion_requests_(\d{4})_(\d{2})")


class Month(NamedTuple):
    """A month of UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        return cls(moment.year, moment.month)

    @classmethod
    def of_table(cls, name: str) -> Month | None:
        """The month that a table holds; None for any other table."""
        found = _TABLE.fullmatch(name)
        return None if found is None else cls(int(found[1]), int(found[2]))

    @property
    def next(self) -> Month:
        return Month(self.year + 1, 1) if self.number == _DECEMBER else Month(self.year, self.number + 1)

    @property
    def table(self) -> str:
        return f"completion_requests_{self.year}_{self.number:02}"

    @property
    def first_id(self) -> UUID:
        """No UUIDv7 of this month is smaller."""
        ms = int(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp() * 1000)
        return UUID(int=ms << _TIME_SHIFT)


def first_id_at(place: int) -> UUID:
    """No UUIDv7 of a position or a later one is smaller."""
    return UUID(int=max(0, started_at(place) // 1000) << _TIME_SHIFT)


def month_of(request_id: bytes) -> Month | None:
    """The month of a UUIDv7; None for ids that say no likely one."""
    if request_id[6] >> 4 != _VERSION:
        return None
    ms = int.from_bytes(request_id[:6], "big")
    if ms >= int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp() * 1000):
        return None
    month = Month.of(datetime.fromtimestamp(ms / 1000, UTC))
    return month if month.year >= FIRST_YEAR else None


class Partitions:
    """Makes the tables that requests need."""

    def __init__(self) -> None:
        self._known: set[Month] = set()

    async def ensure(self, connection: Connection, months: Iterable[Month | None]) -> None:
        """Make the tables of these months where they are missing."""
        for month in sorted({month for month in months if month is not None} - self._known):
            try:
                await self._make(connection, month)
            except asyncpg.CheckViolationError:
                # the catch-all table has odd ids that look like this month's; its requests join them there
                logger.warning("a month stays in the catch-all table", extra={"table": month.table})
            self._known.add(month)

    async def drop_before(self, connection: Connection, end: int) -> None:
        """Drop the tables of months whose requests all have positions before `end`.

        Another process may think that the table is still there: what it adds goes to the catch-all table.
        """
        over = first_id_at(end)
        for name in [row[0] for row in await connection.fetch(query("partitions", "postgres"))]:
            month = Month.of_table(name)
            if month is not None and month.next.first_id <= over:
                await self._drop(connection, month, end)

    async def _drop(self, connection: Connection, month: Month, end: int) -> None:
        try:
            if not await _is_over(connection, month, end):
                return
            async with connection.transaction():
                await connection.execute(query("wait_for_locks", "postgres"), str(DROP_WAIT_MS))
                await connection.execute(query("lock_until_commit", "postgres"), LOCK)
                await connection.execute(query("requests_lock", "postgres"))
                if not await _is_over(connection, month, end):  # nobody adds to it any more
                    return
                await connection.execute(query("partition_drop", "postgres", table=month.table))
        except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
            return  # in use, or another process was faster: the next time will do
        self._known.discard(month)
        logger.info("dropped a month of requests", extra={"table": month.table})

    async def ensure_around(self, connection: Connection, now: datetime) -> None:
        """This month's table and the next one's, before anybody waits for it."""
        month = Month.of(now)
        await self.ensure(connection, (month, month.next))

    async def _make(self, connection: Connection, month: Month) -> None:
        if await connection.fetchval(query("table_exists", "postgres"), month.table):
            return
        async with connection.transaction():
            await connection.execute(query("lock_until_commit", "postgres"), LOCK)
            if await connection.fetchval(query("table_exists", "postgres"), month.table):
                return
            # made apart and then attached: this way nobody who reads or writes has to wait
            await connection.execute(query("partition_make", "postgres", table=month.table))
            await connection.execute(
                query(
                    "partition_attach",
                    "postgres",
                    table=month.table,
                    first=str(month.first_id),
                    end=str(month.next.first_id),
                )
            )
        logger.info("made a table for a month of requests", extra={"table": month.table})


async def _is_over(connection: Connection, month: Month, end: int) -> bool:
    """Whether every request in the table of a month has a position before `end`."""
    newest: int | None = await connection.fetchval(query("partition_newest", "postgres", table=month.table))
    return newest is None or newest < end

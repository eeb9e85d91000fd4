"""The questions about single requests, as SQL. Each runs on a connection of the readers."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from weir.events.stream import StreamId
from weir.metrics_api.storage import filtering
from weir.metrics_api.storage.accounting import from_rows
from weir.metrics_api.storage.port import Page, StoredSize
from weir.metrics_api.storage.position import BUCKET_BITS, first_of, started_at
from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.request_row import from_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Accounts, Filter, Window
    from weir.metrics_api.storage.postgres.dictionary import NamesById
    from weir.metrics_api.storage.postgres.driver import Connection, Record

HOUR: Final = 3600
HOURS_AT_ONCE: Final = 100
"""Looked up at a time: mostly the first few hold a page already."""
_NAMES: Final = 13
"""How many columns at the end of a row are ids of strings."""


async def requests(
    connection: Connection, names: NamesById, window: Window, wanted: Filter, limit: int, before: int | None
) -> Page:
    start, end = first_of(window.start), first_of(window.end)
    if before is not None:
        end = min(before, end)
    found: list[Record] = []
    async for first, last in _stretches(connection, wanted, start, end):
        found += await _newest(connection, wanted, first, last, limit + 1 - len(found))
        if len(found) > limit:
            break
    if len(found) <= limit:
        return Page(await _events(connection, names, found), None)
    page = await _whole_positions(connection, wanted, found, limit)
    return Page(await _events(connection, names, page), page[-1][0])


async def request(connection: Connection, names: NamesById, request_id: str) -> RequestEvent | None:
    try:
        key = UUID(request_id).bytes
    except ValueError:
        return None
    found = await connection.fetch(query("request", "postgres"), key)
    events = await _events(connection, names, found)
    return events[0] if events else None


async def last_request_at(connection: Connection, wanted: Filter) -> int | None:
    since = 0
    if not wanted.user:
        # roll-ups know in which hour it was, so that a filter without an index does not scan all rows
        conditions, values = filtering.dimensions(wanted)
        newest = await connection.fetchval(query("last_rollup", "postgres", filter=conditions), *values)
        if newest is None:
            return None
        since = first_of((newest >> BUCKET_BITS) * 1000)
    conditions, values = filtering.rows(wanted)
    place = await connection.fetchval(query("last_request", "postgres", filter=conditions), since, *values)
    return None if place is None else started_at(place) // 1000


async def accounts(connection: Connection) -> Accounts:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        journals = await connection.fetch(query("journals", "postgres"))
        accounts = await connection.fetch(query("accounts", "postgres"))
    return from_rows(map(tuple, journals), map(tuple, accounts))


async def settled_to(connection: Connection, stream: str) -> StreamId | None:
    row = await connection.fetchrow(query("stream_position", "postgres"), stream)
    return None if row is None else StreamId(*row)


async def size(connection: Connection) -> StoredSize:
    requests_, oldest = await connection.fetchrow(query("rows_known", "postgres"))
    return StoredSize(
        bytes=await connection.fetchval(query("bytes_held", "postgres")),
        requests=requests_ or 0,
        oldest_request_at=None if oldest is None else started_at(oldest) // 1000,
    )


async def names_held(connection: Connection) -> tuple[int, int]:
    """How many strings there are, and the highest id."""
    count, last = await connection.fetchrow(query("names_held", "postgres"))
    return count, last


async def names_page(connection: Connection, after: int, limit: int) -> list[int]:
    return [row[0] for row in await connection.fetch(query("names_page", "postgres"), after, limit)]


async def names_used(connection: Connection, start: int, limit: int) -> list[Record]:
    """How many requests a stretch has and its last position; then the ids of strings in it."""
    return await connection.fetch(query("names_used", "postgres"), start, limit)


async def check(connection: Connection) -> None:
    await connection.fetchval(query("last_request", "postgres", filter=""), 0)


async def _stretches(
    connection: Connection, wanted: Filter, start: int, end: int
) -> AsyncIterator[tuple[int, int]]:
    """Where to look for matching rows, newest first.

    Of a filter that no index answers, roll-ups know the hours in which anything matched; the rows of other
    hours need not be read.
    """
    if not filtering.needs_a_scan(wanted):
        yield start, end
        return
    conditions, values = filtering.dimensions(wanted)
    text = query("hours_with_requests", "postgres", filter=conditions)
    first = started_at(start) // 1_000_000 // HOUR * HOUR << BUCKET_BITS
    last = (started_at(end) // 1_000_000 // HOUR * HOUR + HOUR) << BUCKET_BITS
    while True:
        hours = [row[0] for row in await connection.fetch(text, first, last, *values, HOURS_AT_ONCE)]
        for hour, _ in groupby(hours):
            yield max(start, first_of(hour * 1000)), min(end, first_of((hour + HOUR) * 1000))
        if len(hours) < HOURS_AT_ONCE:
            return
        last = hours[-1] << BUCKET_BITS


async def _newest(
    connection: Connection, wanted: Filter, first: int, last: int, limit: int | None
) -> list[Record]:
    held = [texts.escaped(name) for name in filtering.names(wanted)]
    found = await connection.fetch(query("names_known", "postgres"), held) if held else []
    conditions, values = filtering.rows(wanted, {row[1]: row[0] for row in found})
    return await connection.fetch(
        query("requests", "postgres", filter=conditions), first, last, *values, limit
    )


async def _whole_positions(
    connection: Connection, wanted: Filter, found: Sequence[Record], limit: int
) -> Sequence[Record]:
    """A page goes on after a position. The rare requests that share one stay on one page."""
    cut = found[limit][0]
    if found[limit - 1][0] != cut:
        return found[:limit]
    whole = [row for row in found[:limit] if row[0] != cut]
    return whole or await _newest(connection, wanted, cut, cut + 1, None)


async def _events(connection: Connection, names: NamesById, rows: Sequence[Record]) -> list[RequestEvent]:
    plain: list[tuple[Any, ...]] = [tuple(row) for row in rows]
    known = await names.of(connection, {identifier for row in plain for identifier in row[-_NAMES:]})
    return [from_row((*row[:-_NAMES], *(known[identifier] for identifier in row[-_NAMES:]))) for row in plain]

"""The one transaction that takes records in: rows, roll-ups, snapshots and totals, for the new ones only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from weir.metrics_api.metrics.rollup import fold
from weir.metrics_api.metrics.snapshot import NO_TOTALS
from weir.metrics_api.storage import request_row
from weir.metrics_api.storage.accounting import account_rows, counted
from weir.metrics_api.storage.batch_sums import (
    SNAPSHOT_LEVELS,
    delta_of,
    numbers,
    rollups,
    snapshot_row,
    snapshot_sums,
)
from weir.metrics_api.storage.port import SECONDS
from weir.metrics_api.storage.position import BUCKET_BITS, first_of
from weir.metrics_api.storage.postgres import draft as drafting
from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.postgres.dictionary import FORGOTTEN_SECONDS, Combinations, Names
from weir.metrics_api.storage.postgres.partitions import Partitions
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.rollup_tables import TABLES, tables_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.events import RequestEvent
    from weir.events.accounts import Account
    from weir.events.stream import StreamId
    from weir.metrics_api.metrics.dimension import Dimensions
    from weir.metrics_api.metrics.measure import Cell
    from weir.metrics_api.metrics.rollup import Cells
    from weir.metrics_api.metrics.snapshot import Delta, Totals
    from weir.metrics_api.storage.batch_sums import Histograms
    from weir.metrics_api.storage.port import Gauges, Level, SnapshotLevel
    from weir.metrics_api.storage.postgres.driver import Connection

COLUMNS: Final = (*request_row.COLUMNS, "filed_model_id")


class Writing:
    """All that is written to the database. Runs on the writer's connection, in its shard."""

    def __init__(self) -> None:
        self._partitions = Partitions()
        self._names = Names()
        self._combinations = Combinations()

    async def add(
        self, connection: Connection, shard: int, events: Sequence[RequestEvent]
    ) -> list[RequestEvent]:
        """Store what is new, all or nothing, and return it."""
        batch = await asyncio.to_thread(drafting.draft, events)
        await self._names.learn(connection, batch.names)
        await self._combinations.learn(connection, batch.combinations)
        await self._partitions.ensure(connection, batch.months)
        async with connection.transaction():
            # while PostgreSQL stores the rows they are added up: nearly always all of them are new
            new, cells = await asyncio.gather(
                _add_rows(connection, batch.events, self._names.ids), asyncio.to_thread(batch.folding.cells)
            )
            if not new:
                return []
            if len(new) < len(batch.events):
                cells = await asyncio.to_thread(fold, new.values())
            await _add_sums(connection, shard, cells, self._combinations.ids)
            await connection.executemany(
                query("journal_add", "postgres"),
                [(proxy_id, journal, shard, *counts) for proxy_id, journal, *counts in counted(new.values())],
            )
        if len(new) == len(events):
            return list(events)
        ids = request_row.keys([event.request_id for event in events])
        return [event for key, event in zip(ids, events, strict=True) if new.pop(key, None) is not None]

    async def prepare_months(self, connection: Connection, _shard: int) -> None:
        """Make this month's table and the next one's before anybody needs them."""
        await self._partitions.ensure_around(connection, datetime.now(UTC))

    async def expire_requests(self, connection: Connection, _shard: int, before: int, at_most: int) -> int:
        """Drop the months that are over, delete the remainder; how many rows were deleted."""
        end = first_of(before)
        await self._partitions.drop_before(connection, end)
        done = await connection.execute(query("expire_requests", "postgres"), end, at_most)
        return _count(done)

    async def sample(self, connection: Connection, shard: int, at: int, gauges: Mapping[str, Gauges]) -> None:
        async with connection.transaction():
            for level in SNAPSHOT_LEVELS:
                await connection.executemany(
                    query("snapshot_gauges", "postgres", table=f"metrics_{level}"),
                    [
                        (
                            at - at % SECONDS[level],
                            variant,
                            shard,
                            now.concurrent_requests,
                            now.max_workers,
                            at,
                        )
                        for variant, now in gauges.items()
                    ],
                )
            await _add_totals(connection, shard, dict.fromkeys(gauges, NO_TOTALS))


async def keep_accounts(connection: Connection, _shard: int, accounts: Sequence[Account]) -> None:
    async with connection.transaction():
        await connection.executemany(query("account_keep", "postgres"), account_rows(accounts))


async def note_settled(connection: Connection, _shard: int, stream: str, entry: StreamId) -> None:
    await connection.execute(query("stream_position_keep", "postgres"), stream, *entry)


async def forget_names(connection: Connection, _shard: int, ids: Sequence[int]) -> int:
    """Forget strings that nobody refers to and nobody has used for a while; how many."""
    async with connection.transaction():
        await connection.execute(query("names_mark", "postgres"), ids)
        done = await connection.execute(query("names_forget", "postgres"), ids, FORGOTTEN_SECONDS)
    return _count(done)


async def expire(connection: Connection, _shard: int, level: Level, before: int, at_most: int) -> int:
    """Delete old buckets; how many roll-up rows."""
    async with connection.transaction():
        deleted = [
            _count(
                await connection.execute(
                    query("expire_rollup", "postgres", table=table), before << BUCKET_BITS, at_most
                )
            )
            for table in tables_of(level)
        ]
        if level in SNAPSHOT_LEVELS:
            await connection.execute(query("expire_snapshots", "postgres", table=f"metrics_{level}"), before)
    return max(deleted)


def _count(done: str) -> int:
    """How many rows a statement changed, of what PostgreSQL says: `DELETE 7`."""
    return int(done.rpartition(" ")[2])


async def _add_rows(
    connection: Connection,
    events: Mapping[bytes, RequestEvent],
    names: Mapping[str | None, int | None],
) -> dict[bytes, RequestEvent]:
    """Copy in at once what is nearly always all new; through a table apart only when it was not.

    Rows are made while those before are on their way.
    """
    try:
        async with connection.transaction():
            await connection.copy_records_to_table(
                "completion_requests", records=drafting.rows(events, names), columns=COLUMNS
            )
    except asyncpg.UniqueViolationError:
        pass
    else:
        return dict(events)
    await connection.copy_records_to_table(
        "staged_requests", records=drafting.rows(events, names), columns=COLUMNS
    )
    added = await connection.fetch(query("request_add", "postgres"))
    ids = {bytes(row[0]) for row in added}
    return {request_id: event for request_id, event in events.items() if request_id in ids}


async def _add_sums(connection: Connection, shard: int, cells: Cells, ids: Mapping[Dimensions, int]) -> None:
    found = await asyncio.to_thread(rollups, cells, ids)
    known = {table: await _stored(connection, shard, table, found[table]) for table in found}
    staged = await asyncio.to_thread(_staged, shard, found, known)
    await connection.copy_records_to_table("staged_cells", records=staged)
    for place, table in enumerate(TABLES):
        await connection.execute(query("rollup_add", "postgres", table=table), place)
    sums = await asyncio.to_thread(snapshot_sums, cells)
    for level, found in sums.buckets.items():
        await _add_deltas(connection, shard, level, found)
    await _add_totals(connection, shard, sums.totals)


async def _stored(
    connection: Connection, shard: int, table: str, cells: Mapping[int, Cell]
) -> dict[int, Histograms]:
    """The histograms that are there already, by roll-up id."""
    text = query("rollup_histograms", "postgres", table=table)
    return {row[0]: tuple(row)[1:] for row in await connection.fetch(text, shard, list(cells))}


def _staged(
    shard: int, found: Mapping[str, Mapping[int, Cell]], known: Mapping[str, Mapping[int, Histograms]]
) -> list[tuple[Any, ...]]:
    """Rows of staged_cells: sums to add, histograms that hold what was there."""
    return [
        (place, key, shard, *numbers(cell, known[table].get(key)))
        for place, table in enumerate(TABLES)
        for key, cell in found[table].items()
    ]


async def _add_deltas(
    connection: Connection, shard: int, level: SnapshotLevel, found: Mapping[tuple[int, str], Delta]
) -> None:
    table = f"metrics_{level}"
    buckets, variants = zip(*found, strict=True)
    stored = {
        (row[0], row[1]): delta_of(row[2:])
        for row in await connection.fetch(
            query("snapshot_parts", "postgres", table=table),
            shard,
            buckets,
            [texts.escaped(variant) for variant in variants],
        )
    }
    await connection.executemany(
        query("snapshot_add", "postgres", table=table),
        [
            (*snapshot_row(bucket, variant, delta, level, stored.get((bucket, variant))), shard)
            for (bucket, variant), delta in found.items()
        ],
    )


async def _add_totals(connection: Connection, shard: int, found: Mapping[str, Totals]) -> None:
    await connection.executemany(
        query("totals_add", "postgres"), [(variant, shard, *totals) for variant, totals in found.items()]
    )

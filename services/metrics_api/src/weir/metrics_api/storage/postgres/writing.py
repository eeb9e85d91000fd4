"""The one transaction that takes records in: rows, roll-ups, snapshots and totals, for the new ones only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.snapshot import NO_TOTALS
from weir.metrics_api.storage.accounting import account_rows, counted
from weir.metrics_api.storage.port import SECONDS
from weir.metrics_api.storage.position import BUCKET_BITS, first_of
from weir.metrics_api.storage.postgres import draft as drafting
from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.postgres.dictionary import Combinations, Names
from weir.metrics_api.storage.postgres.draft import StoredCell, SumsOfBatch, merged, snapshot_row
from weir.metrics_api.storage.postgres.partitions import Partitions
from weir.metrics_api.storage.queries import query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.events import RequestEvent
    from weir.events.accounts import Account
    from weir.events.stream import StreamId
    from weir.metrics_api.metrics.snapshot import Delta, Totals
    from weir.metrics_api.storage.port import Gauges, Level, SnapshotLevel
    from weir.metrics_api.storage.postgres.driver import Connection

COLUMNS: Final = (
    "id", "request_id", "outcome", "status_code", "model_id", "model_requested_id", "stream", "tenant_id",
    "project_id", "api_key_id", "user_id", "provider_id", "upstream_id", "variant_id", "endpoint_id",
    "proxy_id", "error_type_id", "finish_reason_id", "retries", "queue_us", "connect_us",
    "upstream_headers_us", "first_token_us", "first_answer_us", "last_token_us", "duration_us",
    "proxy_overhead_us", "max_token_gap_us", "prompt_tokens", "completion_tokens", "total_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "usage_source", "request_bytes",
    "response_bytes", "content_chunks", "client_request_id", "upstream_request_id", "trace_id", "span_id",
    "error_message", "metadata", "attempts", "usage_raw", "schema_version", "filed_model_id",
)  # fmt: skip
LEVELS: Final[tuple[Level, ...]] = ("5s", "1m", "1h", "1d")
"""Their places are the levels of staged_cells."""
_SNAPSHOT_LEVELS: Final[tuple[SnapshotLevel, ...]] = ("5s", "1m")


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
        rows = await asyncio.to_thread(drafting.rows, batch.events, self._names.ids)
        ids = self._combinations.ids
        async with connection.transaction():
            # while PostgreSQL stores the rows they are added up: nearly always all of them are new
            new, sums = await asyncio.gather(
                _add_rows(connection, batch.events, rows),
                asyncio.to_thread(drafting.sums, batch.events.values(), ids),
            )
            if not new:
                return []
            if len(new) < len(batch.events):
                sums = await asyncio.to_thread(drafting.sums, new.values(), ids)
            await _add_sums(connection, shard, sums)
            await connection.executemany(
                query("journal_add", "postgres"),
                [(proxy_id, journal, shard, *counts) for proxy_id, journal, *counts in counted(new.values())],
            )
        return [event for event in events if new.pop(drafting.key(event), None) is not None]

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
            for level in _SNAPSHOT_LEVELS:
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


async def expire(connection: Connection, _shard: int, level: Level, before: int, at_most: int) -> int:
    """Delete old buckets; how many roll-up rows."""
    async with connection.transaction():
        done = await connection.execute(
            query("expire_rollup", "postgres", table=f"rollup_{level}"), before << BUCKET_BITS, at_most
        )
        if level in _SNAPSHOT_LEVELS:
            await connection.execute(query("expire_snapshots", "postgres", table=f"metrics_{level}"), before)
    return _count(done)


def _count(done: str) -> int:
    """How many rows a statement changed, of what PostgreSQL says: `DELETE 7`."""
    return int(done.rpartition(" ")[2])


async def _add_rows(
    connection: Connection, events: Mapping[bytes, RequestEvent], rows: list[tuple[Any, ...]]
) -> dict[bytes, RequestEvent]:
    await connection.copy_records_to_table("staged_requests", records=rows, columns=COLUMNS)
    added = await connection.fetch(query("request_add", "postgres"))
    ids = {bytes(row[0]) for row in added}
    return {request_id: event for request_id, event in events.items() if request_id in ids}


async def _add_sums(connection: Connection, shard: int, batch: SumsOfBatch) -> None:
    known: dict[Level, dict[int, tuple[bytes | None, ...]]] = {
        level: await _stored(connection, shard, level, batch.rollups[level]) for level in LEVELS
    }
    staged = await asyncio.to_thread(_staged, shard, batch.rollups, known)
    await connection.copy_records_to_table("staged_cells", records=staged)
    for place, level in enumerate(LEVELS):
        await connection.execute(query("rollup_add", "postgres", table=f"rollup_{level}"), place)
    for level in _SNAPSHOT_LEVELS:
        await _add_deltas(connection, shard, f"metrics_{level}", batch.snapshots[level])
    await _add_totals(connection, shard, batch.totals)


async def _stored(
    connection: Connection, shard: int, level: Level, cells: Mapping[int, StoredCell]
) -> dict[int, tuple[bytes | None, ...]]:
    """The histograms that are there already, by roll-up id."""
    text = query("rollup_histograms", "postgres", table=f"rollup_{level}")
    return {row[0]: tuple(row)[1:] for row in await connection.fetch(text, shard, list(cells))}


def _staged(
    shard: int,
    rollups: Mapping[Level, Mapping[int, StoredCell]],
    known: Mapping[Level, Mapping[int, tuple[bytes | None, ...]]],
) -> list[tuple[Any, ...]]:
    """Rows of staged_cells: sums to add, histograms that hold what was there."""
    staged: list[tuple[Any, ...]] = []
    for place, level in enumerate(LEVELS):
        for key, cell in rollups[level].items():
            stored = known[level].get(key)
            histograms = cell.histograms if stored is None else merged(stored, cell.histograms)
            staged.append((place, key, shard, *cell.sums, *histograms))
    return staged


async def _add_deltas(
    connection: Connection, shard: int, table: str, found: Mapping[tuple[int, str], Delta]
) -> None:
    buckets, variants = zip(*found, strict=True)
    stored = {
        (row[0], row[1]): (row[2], row[3])
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
            snapshot_row(bucket, variant, shard, delta, stored.get((bucket, variant)))
            for (bucket, variant), delta in found.items()
        ],
    )


async def _add_totals(connection: Connection, shard: int, found: Mapping[str, Totals]) -> None:
    await connection.executemany(
        query("totals_add", "postgres"), [(variant, shard, *totals) for variant, totals in found.items()]
    )

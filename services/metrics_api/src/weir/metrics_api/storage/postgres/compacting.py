"""Merges what several processes counted apart, each in its shard, once the buckets are over.

Reading is right before, after and in between; it only has fewer rows to add up afterwards. One process at a
time does it, and it locks what it merges in the order in which ingest does.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.histogram import merge
from weir.metrics_api.metrics.measure import Sums
from weir.metrics_api.storage.batch_sums import snapshot_row
from weir.metrics_api.storage.port import SECONDS
from weir.metrics_api.storage.position import BUCKET_BITS
from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.postgres.snapshot_shards import merged_shards
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.rollup_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.metrics_api.storage.port import SnapshotLevel
    from weir.metrics_api.storage.postgres.connections import Writer
    from weir.metrics_api.storage.postgres.driver import Connection, Record

MERGED: Final = 0
"""The shard that nobody takes records in to."""
LOCK: Final = 0x57454955
AT_ONCE: Final = 1000
"""Buckets merged in one transaction: ingest waits no longer than for a batch of its own."""
SETTLED_SECONDS: Final = 600
"""Buckets are left alone for so long after their end: most late records have come by then."""
LOOK_BACK_SECONDS: Final = 86400
"""How far back is looked again for records that came later still."""
_SNAPSHOT_LEVELS: Final[tuple[SnapshotLevel, ...]] = ("5s", "1m")


async def compact(writer: Writer, now: int | None = None) -> None:
    """Merge what is over at `now` (s since the epoch).

    How far that was done is in the database, so that neither a start nor another process looks through all
    of the history again.
    """
    moment = int(time.time()) if now is None else now
    for table, seconds in TABLES.items():
        await _merge(writer, table, moment - seconds, _merge_cells)
    for level in _SNAPSHOT_LEVELS:
        work = partial(_merge_snapshots, level=level)
        await _merge(writer, f"metrics_{level}", moment - SECONDS[level], work)


async def _merge(writer: Writer, table: str, moment: int, work: Any) -> None:
    while await writer.run(_in_turn, work, table, moment - SETTLED_SECONDS):
        pass


async def _in_turn(connection: Connection, _shard: int, work: Any, table: str, end: int) -> bool:
    """Whether there may be more to merge: not when another process is at it."""
    async with connection.transaction():
        if not await connection.fetchval(query("lock_if_free", "postgres"), LOCK):
            return False
        done: int = await connection.fetchval(query("compacted", "postgres"), table) or 0
        if await work(connection, table, max(0, done - LOOK_BACK_SECONDS), end) == AT_ONCE:
            return True
        await connection.execute(query("compacted_note", "postgres"), table, end)
    return False


async def _merge_cells(connection: Connection, table: str, start: int, end: int) -> int:
    found = await connection.fetch(
        query("rollup_shards", "postgres", table=table), start << BUCKET_BITS, end << BUCKET_BITS, AT_ONCE
    )
    if not found:
        return 0
    ids = [row[0] for row in found]
    rows = await connection.fetch(query("rollup_rows", "postgres", table=table), ids)
    staged = await asyncio.to_thread(_merged_cells, rows)
    moved = [(row[0], row[1]) for row in rows if row[1] != MERGED]
    await connection.execute(
        query("rollup_delete", "postgres", table=table), [row[0] for row in moved], [row[1] for row in moved]
    )
    await connection.copy_records_to_table("staged_cells", records=staged)
    await connection.execute(query("rollup_add", "postgres", table=table), 0)
    return len(ids)


def _merged_cells(rows: Sequence[Record]) -> list[tuple[Any, ...]]:
    """What to add to the merged shard: the sums of the others; histograms hold what it has."""
    staged: list[tuple[Any, ...]] = []
    for key, group in groupby(rows, key=lambda row: row[0]):
        shards = [tuple(row) for row in group]
        others = [row[2:-3] for row in shards if row[1] != MERGED]
        sums = Sums(*(sum(column) for column in zip(*others, strict=True))) if others else Sums()
        columns = zip(*(row[-3:] for row in shards), strict=True)
        histograms = (merge(column).to_bytes() or None for column in columns)
        staged.append((0, key, MERGED, *sums, *histograms))
    return staged


async def _merge_snapshots(
    connection: Connection, table: str, start: int, end: int, *, level: SnapshotLevel
) -> int:
    found = await connection.fetch(query("snapshot_shards", "postgres", table=table), start, end, AT_ONCE)
    if not found:
        return 0
    buckets, variants = [row[0] for row in found], [texts.escaped(row[1]) for row in found]
    rows = await connection.fetch(query("snapshot_rows", "postgres", table=table), buckets, variants)
    merged = await asyncio.to_thread(merged_shards, rows)
    moved = [(row["bucket"], row["variant"], row["shard"]) for row in rows]
    await connection.executemany(query("snapshot_delete", "postgres", table=table), moved)
    await connection.executemany(
        query("snapshot_add", "postgres", table=table),
        [(*snapshot_row(each.bucket, each.variant, each.delta, level), MERGED) for each in merged],
    )
    await connection.executemany(
        query("snapshot_gauges", "postgres", table=table),
        [(each.bucket, each.variant, MERGED, *each.gauges) for each in merged if each.gauges[2] is not None],
    )
    return len(found)

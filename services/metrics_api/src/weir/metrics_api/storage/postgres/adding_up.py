"""The questions about sums. Histograms, unknown to PostgreSQL, are added up beside the event loop."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import orjson

from weir.metrics_api.metrics.fates import Fates
from weir.metrics_api.metrics.histogram import Histogram
from weir.metrics_api.metrics.measure import Cell, Distributions, Sums
from weir.metrics_api.metrics.snapshot import Totals
from weir.metrics_api.storage import filtering, rollup_sql, row_sql
from weir.metrics_api.storage.batch_sums import percentiles
from weir.metrics_api.storage.minutes import known_rates
from weir.metrics_api.storage.port import Minutes, RollupAnswer, Snapshots, StoredSnapshot
from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.postgres.snapshot_shards import merged_shards
from weir.metrics_api.storage.queries import query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weir.metrics_api.storage.port import MinuteRow, RollupQuestion, RowQuestion, SnapshotLevel
    from weir.metrics_api.storage.postgres.driver import Connection, Record

_SUMS: Final = len(Sums._fields)
_FATES: Final = len(Fates._fields)
_VALUES: Final = {
    "latency": "r.duration_us",
    "ttft": "case when r.stream then r.first_token_us end",
    "tokens_per_second": (
        "case when r.completion_tokens > 1 and r.last_token_us > r.first_token_us "
        "then (r.completion_tokens - 1) * 1000000000.0::float8 / (r.last_token_us - r.first_token_us) end"
    ),
}
_TOTALS: Final = slice(4, 14)
_AFTER_TOTALS: Final = 14


async def rollups(connection: Connection, question: RollupQuestion) -> list[RollupAnswer]:
    if not question.segments:
        return []
    slot, slot_values = _slot(question.slot, "r.bucket")
    sums, distributions, columns = rollup_sql.asked(question, slot, slot_values, "postgres")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = None if sums is None else map(tuple, await connection.fetch(sums[0], *sums[1]))
        times = () if distributions is None else await connection.fetch(distributions[0], *distributions[1])
    return await asyncio.to_thread(rollup_sql.answers, rows, map(tuple, times), columns)


async def row_sums(connection: Connection, question: RowQuestion) -> list[RollupAnswer]:
    slot = _slot(question.slot, "(r.id >> 11) / 1000000.0::float8")
    text, values, kept = row_sql.asked(question, slot, _VALUES, "array_agg({})", "postgres")
    found = await connection.fetch(text, *values)
    answers = await asyncio.to_thread(_answers, found, kept, len(question.group_by))
    return [row_sql.with_names(answer, question.group_by) for answer in answers]


async def snapshots(connection: Connection, level: SnapshotLevel, start: int) -> Snapshots:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetch(query("snapshots", "postgres", table=f"metrics_{level}"), start)
        totals = await connection.fetch(query("totals", "postgres"))
    found = await asyncio.to_thread(_snapshots, rows)
    return Snapshots(found, _running_totals(totals))


async def minutes(connection: Connection, start: int, variant: str | None) -> Minutes:
    conditions, values = filtering.of_variant(None if variant is None else texts.escaped(variant))
    text = query("minutes", "postgres", variant=conditions)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await connection.fetch(text, start, *values)
        rows, after = await asyncio.to_thread(_known_rates, found)
        late: Sequence[Record] = ()
        if after is not None:
            late = await connection.fetch(query("snapshots", "postgres", table="metrics_1m"), after)
        totals = await connection.fetch(query("totals", "postgres"))
    newest = [each for each in await asyncio.to_thread(_snapshots, late) if variant in {None, each.variant}]
    return Minutes(rows, newest, _running_totals(totals))


def _known_rates(found: Sequence[Record]) -> tuple[list[MinuteRow], int | None]:
    return known_rates([*map(tuple, found)])


def _running_totals(rows: Sequence[Record]) -> dict[str, Totals]:
    return {row[0]: Totals(*tuple(row)[1:]) for row in rows}


def _slot(slot: tuple[float, float] | None, moment: str) -> tuple[str, list[float]]:
    if slot is None:
        return "0", []
    return f"cast(trunc(({moment} - ?::float8) / ?::float8) as bigint)", [float(part) for part in slot]


def _answers(rows: Sequence[Record], kept: Sequence[str], groups: int) -> list[RollupAnswer]:
    after_sums = 1 + _SUMS
    after_fates = after_sums + _FATES
    after_values = after_fates + len(kept)
    found: list[RollupAnswer] = []
    for row in rows:
        columns = zip(kept, row[after_fates:after_values], strict=True)
        distributions = Distributions(**{name: _histogram_of(column) for name, column in columns})
        group = tuple(row[after_values : after_values + groups])
        cell = Cell(Sums(*row[1:after_sums]), distributions)
        found.append(RollupAnswer(row[0], group, cell, Fates(*row[after_sums:after_fates])))
    return found


def _histogram_of(values: Iterable[float] | None) -> Histogram:
    return Histogram.of(values or ())


def _snapshots(rows: Sequence[Record]) -> list[StoredSnapshot]:
    """One of each bucket and variant, its shards added up."""
    found: list[StoredSnapshot] = []
    for _, group in groupby(rows, key=lambda row: (row[0], row[1])):
        shards = list(group)
        found.append(_snapshot(shards[0]) if len(shards) == 1 else _snapshot_of_shards(shards))
    return found


def _snapshot(row: Record) -> StoredSnapshot:
    plain: tuple[Any, ...] = tuple(row)
    (
        request_bytes, request_bytes_n, response_bytes, response_bytes_n, p50, p95, p99, codes,
        concurrent, workers, _, _,
    ) = plain[_AFTER_TOTALS:]  # fmt: skip
    return StoredSnapshot(
        plain[0], plain[1], Totals._make(plain[_TOTALS]), plain[2], plain[3], request_bytes, request_bytes_n,
        response_bytes, response_bytes_n, p50, p95, p99, orjson.loads(codes), concurrent, workers,
    )  # fmt: skip


def _snapshot_of_shards(shards: Sequence[Record]) -> StoredSnapshot:
    (found,) = merged_shards(shards)
    delta = found.delta
    p50, p95, p99 = percentiles(delta.latency)
    return StoredSnapshot(
        found.bucket, found.variant, delta.totals, delta.requests, delta.errors, delta.request_bytes,
        delta.request_bytes_n, delta.response_bytes, delta.response_bytes_n, p50, p95, p99,
        delta.status_codes, *found.gauges[:2],
    )  # fmt: skip

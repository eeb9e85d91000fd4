"""The questions, as SQL. Each function runs in a reader thread on a connection of its own."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from weir.events.stream import StreamId
from weir.metrics_api.metrics.fates import Fates
from weir.metrics_api.metrics.histogram import Histogram
from weir.metrics_api.metrics.measure import Cell, Distributions, Sums
from weir.metrics_api.metrics.snapshot import Totals
from weir.metrics_api.storage import filtering, rollup_sql, row_sql
from weir.metrics_api.storage.accounting import from_rows
from weir.metrics_api.storage.minutes import known_rates
from weir.metrics_api.storage.port import (
    Minutes,
    Page,
    RollupAnswer,
    Snapshots,
    StoredSize,
    StoredSnapshot,
)
from weir.metrics_api.storage.position import BUCKET_BITS, first_of, started_at
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.request_row import from_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import (
        Accounts,
        Filter,
        RollupQuestion,
        RowQuestion,
        SnapshotLevel,
        Window,
    )

HOUR: Final = 3600
_SUMS: Final = len(Sums._fields)
_FATES: Final = len(Fates._fields)
_VALUES: Final = {
    "latency": "r.duration_us", "ttft": "case when r.stream then r.first_token_us end",
    "tokens_per_second": "1000 * r.tokens_per_second",
}  # fmt: skip
_TOTALS: Final = slice(4, 14)
_AFTER_TOTALS: Final = 14


def requests(
    connection: sqlite3.Connection, window: Window, wanted: Filter, limit: int, before: int | None
) -> Page:
    conditions, values = filtering.rows(wanted)
    text = query("requests", filter=conditions)
    start, end = first_of(window.start), first_of(window.end)
    if before is not None:
        end = min(before, end)
    found: list[tuple[Any, ...]] = []
    for first, last in _stretches(connection, wanted, start, end):
        found += connection.execute(text, (first, last, *values, limit + 1 - len(found))).fetchall()
        if len(found) > limit:
            break
    events = [from_row(row) for row in found[:limit]]
    return Page(events, found[limit - 1][0] if len(found) > limit else None)


def _stretches(
    connection: sqlite3.Connection, wanted: Filter, start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Where to look for matching rows, newest first.

    Of a filter that no index answers, roll-ups know the hours in which anything matched; the rows of other
    hours need not be read.
    """
    if not filtering.needs_a_scan(wanted):
        yield start, end
        return
    conditions, values = filtering.dimensions(wanted)
    first_hour = started_at(start) // 1_000_000 // HOUR * HOUR
    last_hour = started_at(end) // 1_000_000 // HOUR * HOUR + HOUR
    hours = connection.execute(
        query("hours_with_requests", filter=conditions),
        (first_hour << BUCKET_BITS, last_hour << BUCKET_BITS, *values),
    )
    for hour, _ in groupby(row[0] for row in hours):
        yield max(start, first_of(hour * 1000)), min(end, first_of((hour + HOUR) * 1000))


def request(connection: sqlite3.Connection, request_id: str) -> RequestEvent | None:
    try:
        key = UUID(request_id).bytes
    except ValueError:
        return None
    row = connection.execute(query("request"), (key,)).fetchone()
    return None if row is None else from_row(row)


def last_request_at(connection: sqlite3.Connection, wanted: Filter) -> int | None:
    since = 0
    if not wanted.user:
        # roll-ups know in which hour it was, so that a filter without an index does not scan all rows
        conditions, values = filtering.dimensions(wanted)
        hour = connection.execute(query("last_rollup", filter=conditions), values).fetchone()
        if hour is None:
            return None
        since = first_of((hour[0] >> BUCKET_BITS) * 1000)
    conditions, values = filtering.rows(wanted)
    row = connection.execute(query("last_request", filter=conditions), (since, *values)).fetchone()
    return None if row is None else started_at(row[0]) // 1000


def rollups(connection: sqlite3.Connection, question: RollupQuestion) -> list[RollupAnswer]:
    if not question.segments:
        return []
    slot, slot_values = "0", ()
    if question.slot is not None:
        slot, slot_values = "cast((r.bucket - ?) / ? as integer)", question.slot
    sums, distributions, columns = rollup_sql.asked(question, slot, slot_values, "sqlite")
    connection.execute("begin")
    try:
        rows = connection.execute(*sums).fetchall() if sums else None
        times = connection.execute(*distributions) if distributions else ()
        return rollup_sql.answers(rows, times, columns)
    finally:
        connection.execute("rollback")


def row_sums(connection: sqlite3.Connection, question: RowQuestion) -> list[RollupAnswer]:
    slot: tuple[str, Sequence[float]] = "0", ()
    if question.slot is not None:
        slot = "cast((r.started_at / 1000000.0 - ?) / ? as integer)", question.slot
    text, values, kept = row_sql.asked(question, slot, _VALUES, "json_group_array({})", "sqlite")
    found = connection.execute(text, values).fetchall()
    return [
        row_sql.with_names(_answer(row, kept, len(question.group_by)), question.group_by) for row in found
    ]


def snapshots(connection: sqlite3.Connection, level: SnapshotLevel, start: int) -> Snapshots:
    connection.execute("begin")
    try:
        rows = connection.execute(query("snapshots", table=f"metrics_{level}"), (start,)).fetchall()
        totals = _running_totals(connection)
    finally:
        connection.execute("rollback")
    return Snapshots([_snapshot(row) for row in rows], totals)


def minutes(connection: sqlite3.Connection, start: int, variant: str | None) -> Minutes:
    conditions, values = filtering.of_variant(variant)
    connection.execute("begin")
    try:
        found = connection.execute(query("minutes", variant=conditions), (start, *values)).fetchall()
        rows, after = known_rates(found)
        late = () if after is None else connection.execute(query("snapshots", table="metrics_1m"), (after,))
        newest = [each for each in map(_snapshot, late) if variant in {None, each.variant}]
        totals = _running_totals(connection)
    finally:
        connection.execute("rollback")
    return Minutes(rows, newest, totals)


def _running_totals(connection: sqlite3.Connection) -> dict[str, Totals]:
    return {row[0]: Totals(*row[1:]) for row in connection.execute(query("totals"))}


def accounts(connection: sqlite3.Connection) -> Accounts:
    connection.execute("begin")
    try:
        return from_rows(connection.execute(query("journals")), connection.execute(query("accounts")))
    finally:
        connection.execute("rollback")


def settled_to(connection: sqlite3.Connection, stream: str) -> StreamId | None:
    row = connection.execute(query("stream_position"), (stream,)).fetchone()
    return None if row is None else StreamId(*row)


def size(connection: sqlite3.Connection) -> StoredSize:
    requests_, oldest = connection.execute(query("rows_known")).fetchone()
    return StoredSize(
        bytes=sum(file.stat().st_size for file in _files(connection)),
        requests=requests_ or 0,
        oldest_request_at=None if oldest is None else started_at(oldest) // 1000,
    )


def _files(connection: sqlite3.Connection) -> list[Path]:
    """The database and its write-ahead log."""
    path = Path(connection.execute("pragma database_list").fetchone()[2])
    return [file for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]


def names_held(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many strings there are, and the highest id."""
    return connection.execute(query("names_held")).fetchone()


def names_page(connection: sqlite3.Connection, after: int, limit: int) -> list[int]:
    return [row[0] for row in connection.execute(query("names_page"), (after, limit))]


def names_used(connection: sqlite3.Connection, start: int, limit: int) -> list[tuple[int | None, int | None]]:
    """How many requests a stretch has and its last position; then the ids of strings in it."""
    return connection.execute(query("names_used"), (start, limit)).fetchall()


def check(connection: sqlite3.Connection) -> None:
    connection.execute(query("last_request", filter=""), (0,)).fetchone()


def _answer(row: tuple[Any, ...], kept: list[str], groups: int) -> RollupAnswer:
    after_sums = 1 + _SUMS
    after_fates = after_sums + _FATES
    after_histograms = after_fates + len(kept)
    histograms = {
        name: Histogram.of(orjson.loads(values))
        for name, values in zip(kept, row[after_fates:after_histograms], strict=True)
    }
    return RollupAnswer(
        row[0],
        row[after_histograms : after_histograms + groups],
        Cell(Sums(*row[1:after_sums]), Distributions(**histograms)),
        Fates(*row[after_sums:after_fates]),
    )


def _snapshot(row: tuple[Any, ...]) -> StoredSnapshot:
    bucket, variant, requests_, errors = row[:4]
    (
        request_bytes, request_bytes_n, response_bytes, response_bytes_n, p50, p95, p99, codes,
        concurrent, workers,
    ) = row[_AFTER_TOTALS:]  # fmt: skip
    return StoredSnapshot(
        bucket, variant, Totals._make(row[_TOTALS]), requests_, errors, request_bytes, request_bytes_n,
        response_bytes, response_bytes_n, p50, p95, p99, orjson.loads(codes), concurrent, workers,
    )  # fmt: skip

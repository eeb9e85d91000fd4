"""The one transaction that takes records in: rows, roll-ups, snapshots and totals, for the new ones only.

Runs in the writer thread.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from weir.metrics_api.metrics.rollup import FINEST, Cells, Folding
from weir.metrics_api.metrics.snapshot import NO_TOTALS
from weir.metrics_api.storage.accounting import account_rows, counted
from weir.metrics_api.storage.batch_sums import delta_of, numbers, rollups, snapshot_row, snapshot_sums
from weir.metrics_api.storage.position import BUCKET_BITS, first_of, next_slot, position, positions
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.request_row import COLUMNS, keys, rows
from weir.metrics_api.storage.rollup_tables import tables_of
from weir.metrics_api.storage.sqlite.dictionary import Combinations, Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weir.events import RequestEvent
    from weir.events.accounts import Account
    from weir.events.stream import StreamId
    from weir.metrics_api.metrics.measure import Cell
    from weir.metrics_api.metrics.snapshot import Delta
    from weir.metrics_api.storage.port import Gauges, Level, SnapshotLevel

_MINUTE: Final = 60
_SIZES: Final = (256, 64, 16, 4, 1)
"""Rows in one statement. Many: a statement costs as much as some rows, and other threads run Python only
while SQLite works at one. Not more: rows are made, stored and added up while they are in the caches of the
processor. Of few sizes: each is a statement that is kept prepared."""
_COLUMNS: Final = ", ".join(COLUMNS)

T = TypeVar("T")


class Writing:
    """All that is written to the database, through the one connection that may."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = Names(connection)
        self._combinations = Combinations(connection)

    def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        """Store what is new, all or nothing, and return it."""
        new: list[RequestEvent] = []
        folding = Folding()
        with self:
            for piece in _pieces(events):
                added = self._add_rows(piece)
                folding.add(added)
                new += added
            if new:
                self._add_sums(folding.cells())
                self._connection.executemany(query("journal_add"), counted(new))
        return new

    def keep_accounts(self, accounts: Sequence[Account]) -> None:
        with self:
            self._connection.executemany(query("account_keep"), account_rows(accounts))

    def note_settled(self, stream: str, entry: StreamId) -> None:
        with self:
            self._connection.execute(query("stream_position_keep"), (stream, *entry))

    def sample(self, at: int, gauges: Mapping[str, Gauges]) -> None:
        with self:
            for table, step in (("metrics_5s", FINEST), ("metrics_1m", _MINUTE)):
                self._connection.executemany(
                    query("snapshot_gauges", table=table),
                    [
                        (at - at % step, variant, now.concurrent_requests, now.max_workers)
                        for variant, now in gauges.items()
                    ],
                )
            self._connection.executemany(query("totals_add"), [(variant, *NO_TOTALS) for variant in gauges])

    def expire(self, level: Level, before: int, at_most: int) -> int:
        with self:
            rows = max(
                self._connection.execute(
                    query("expire_rollup", table=table), (before << BUCKET_BITS, at_most)
                ).rowcount
                for table in tables_of(level)
            )
            if level in {"5s", "1m"}:
                self._connection.execute(query("expire_snapshots", table=f"metrics_{level}"), (before,))
        return rows

    def expire_requests(self, before: int, at_most: int) -> int:
        with self:
            return self._connection.execute(query("expire_requests"), (first_of(before), at_most)).rowcount

    def watch_names(self) -> None:
        self._names.watch()

    def forget_names(self, ids: list[int]) -> int:
        """Forget those strings that have not been used since `watch_names`; how many."""
        forgotten = self._names.not_used_since(ids)
        with self:
            self._connection.executemany(query("names_forget"), [(identifier,) for identifier in forgotten])
        return len(forgotten)

    def tidy(self) -> None:
        self._connection.execute("pragma wal_checkpoint(passive)")  # does not wait for those who read
        self._connection.execute("pragma optimize")

    def close(self) -> None:
        try:
            self._connection.execute("pragma optimize")
        finally:
            self._connection.close()

    def __enter__(self) -> None:
        self._connection.execute("begin immediate")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("commit")
            except BaseException:
                self._roll_back()
                raise
            self._names.committed()
            self._combinations.committed()
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("rollback")
        self._names.rolled_back()
        self._combinations.rolled_back()

    def _add_rows(self, events: Sequence[RequestEvent]) -> Sequence[RequestEvent]:
        """Insert at once what is nearly always all new; look closer only when it was not."""
        ids = keys([event.request_id for event in events])
        places = positions([event.started_at for event in events], ids)
        if len(set(ids)) == len(set(places)) == len(ids):
            try:
                self._insert(events, places, ids)
            except sqlite3.IntegrityError:  # nothing of the statement was done
                pass
            else:
                return events
        return self._add_unknown_rows(events, ids)

    def _add_unknown_rows(
        self, events: Sequence[RequestEvent], ids: Sequence[bytes]
    ) -> Sequence[RequestEvent]:
        """Of a request that comes twice the first telling stands."""
        known = query("request_known")
        new: list[RequestEvent] = []
        for key, event in zip(ids, events, strict=True):
            if self._connection.execute(known, (key,)).fetchone() is None:
                place = position(event.started_at, key)
                while self._is_taken(place):
                    place = next_slot(place)
                self._insert([event], [place], [key])
                new.append(event)
        return new

    def _is_taken(self, place: int) -> bool:
        return self._connection.execute(query("request_position_taken"), (place,)).fetchone() is not None

    def _insert(self, events: Sequence[RequestEvent], places: Sequence[int], ids: Sequence[bytes]) -> None:
        """With one statement: all of them or none."""
        values: list[Any] = []
        for row in rows(events, places, ids, self._names):
            values += row
        self._connection.execute(
            query("request_add", columns=_COLUMNS, rows=_marks(len(COLUMNS), len(events))), values
        )

    def _add_sums(self, cells: Cells) -> None:
        for table, found in rollups(cells, self._combinations).items():
            self._add_cells(table, found)
        sums = snapshot_sums(cells)
        for level, found in sums.buckets.items():
            self._add_deltas(level, found)
        self._connection.executemany(
            query("totals_add"), [(variant, *totals) for variant, totals in sums.totals.items()]
        )

    def _add_cells(self, table: str, cells: Mapping[int, Cell]) -> None:
        text = query("rollup_histograms", table=table)
        found = self._connection.execute(text, (orjson.dumps(list(cells)),)).fetchall()
        stored = {row[0]: row[1:] for row in found}
        merged = [(place, *numbers(cell, stored.get(place))) for place, cell in cells.items()]
        for piece in _pieces(merged):
            marks = _marks(len(piece[0]), len(piece))
            self._connection.execute(query("rollup_add", table=table, rows=marks), [*chain(*piece)])

    def _add_deltas(self, level: SnapshotLevel, found: Mapping[tuple[int, str], Delta]) -> None:
        parts = query("snapshot_parts", table=f"metrics_{level}")
        rows: list[tuple[Any, ...]] = []
        for key, delta in found.items():
            row = self._connection.execute(parts, key).fetchone()
            rows.append(snapshot_row(*key, delta, level, None if row is None else delta_of(row)))
        self._connection.executemany(query("snapshot_add", table=f"metrics_{level}"), rows)


def _pieces(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """What is written with one statement each: as few statements as there are sizes for."""
    first = 0
    while first < len(values):
        size = next(size for size in _SIZES if size <= len(values) - first)
        yield values[first : first + size]
        first += size


@cache
def _marks(columns: int, count: int) -> str:
    """The parameters of so many rows."""
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * count)

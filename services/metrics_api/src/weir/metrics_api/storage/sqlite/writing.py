"""The one transaction that takes records in: rows, roll-ups, snapshots and totals, for the new ones only.

Runs in the writer thread.
"""

from __future__ import annotations

import sqlite3
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import orjson

from weir.metrics_api.metrics.columns import columns_of
from weir.metrics_api.metrics.rollup import FINEST, Cells, fold_columns
from weir.metrics_api.metrics.snapshot import NO_TOTALS
from weir.metrics_api.storage.accounting import account_rows, counted
from weir.metrics_api.storage.batch_sums import numbers, rollups, snapshot_row, snapshot_sums
from weir.metrics_api.storage.position import BUCKET_BITS, first_of, next_slot, positions
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.request_row import COLUMNS, keys, rows
from weir.metrics_api.storage.rollup_tables import tables_of
from weir.metrics_api.storage.sqlite.dictionary import Combinations, Names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.events import RequestEvent
    from weir.events.accounts import Account
    from weir.events.stream import StreamId
    from weir.metrics_api.metrics.columns import Columns
    from weir.metrics_api.metrics.measure import Cell
    from weir.metrics_api.metrics.snapshot import Delta
    from weir.metrics_api.storage.port import Gauges, Level

_MINUTE: Final = 60
_FLAGS: Final = {True: 1, False: 0, None: None}
"""Numbers, which sqlite3 need not adapt first."""
_AT_ONCE: Final = 100
"""Rows in one statement: while SQLite works at it, other threads run Python."""


class Writing:
    """All that is written to the database, through the one connection that may."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = Names(connection)
        self._combinations = Combinations(connection)

    def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        """Store what is new, all or nothing, and return it."""
        columns = columns_of(events)
        with self:
            if self._add_rows(columns):
                new = list(events)
            else:
                new = self._add_unknown_rows(events)
                columns = columns_of(new)
            if new:
                self._add_sums(fold_columns(columns))
                self._connection.executemany(query("journal_add"), counted(columns))
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

    def _add_rows(self, columns: Columns) -> bool:
        """Insert at once what is nearly always all new; whether it was."""
        ids = keys(columns["request_id"])
        places = positions(columns["started_at"], ids)
        if not len(set(ids)) == len(set(places)) == len(ids):
            return False
        self._connection.execute("savepoint rows")
        try:
            self._insert(columns, places, ids)
        except sqlite3.IntegrityError:
            self._connection.execute("rollback to rows")
            self._names.rolled_back()  # what was inserted for these rows is gone with them
            return False
        finally:
            self._connection.execute("release rows")
        return True

    def _add_unknown_rows(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        """Insert those that are not there; of a request that comes twice the first telling stands."""
        known = query("request_known")
        new: dict[bytes, RequestEvent] = {}
        for key, event in zip(keys([event.request_id for event in events]), events, strict=True):
            if key not in new and self._connection.execute(known, (key,)).fetchone() is None:
                new[key] = event
        taken: set[int] = set()
        columns = columns_of(new.values())
        places = positions(columns["started_at"], new)
        for index, place in enumerate(places):
            free = place
            while free in taken or self._is_taken(free):
                free = next_slot(free)
            taken.add(free)
            places[index] = free
        self._insert(columns, places, [*new])
        return list(new.values())

    def _is_taken(self, place: int) -> bool:
        return self._connection.execute(query("request_position_taken"), (place,)).fetchone() is not None

    def _insert(self, columns: Columns, places: Sequence[int], ids: Sequence[bytes]) -> None:
        flags = {**columns, "stream": [*map(_FLAGS.__getitem__, columns["stream"])]}
        self._insert_many("request_add", [*rows(flags, places, ids, self._names)], columns=", ".join(COLUMNS))

    def _insert_many(self, name: str, rows: Sequence[Sequence[Any]], **parts: str) -> None:
        """Insert rows, _AT_ONCE with one statement."""
        if not rows:
            return
        marks = f"({', '.join('?' * len(rows[0]))})"
        whole = len(rows) - len(rows) % _AT_ONCE
        if whole:
            text = query(name, rows=", ".join([marks] * _AT_ONCE), **parts)
            for first in range(0, whole, _AT_ONCE):
                self._connection.execute(text, list(chain.from_iterable(rows[first : first + _AT_ONCE])))
        self._connection.executemany(query(name, rows=marks, **parts), rows[whole:])

    def _add_sums(self, cells: Cells) -> None:
        for table, found in rollups(cells, self._combinations).items():
            self._add_cells(table, found)
        sums = snapshot_sums(cells)
        for level, found in sums.buckets.items():
            self._add_deltas(f"metrics_{level}", found)
        self._connection.executemany(
            query("totals_add"), [(variant, *totals) for variant, totals in sums.totals.items()]
        )

    def _add_cells(self, table: str, cells: Mapping[int, Cell]) -> None:
        text = query("rollup_histograms", table=table)
        found = self._connection.execute(text, (orjson.dumps(list(cells)),)).fetchall()
        stored = {row[0]: row[1:] for row in found}
        rows = [(place, *numbers(cell, stored.get(place))) for place, cell in cells.items()]
        self._insert_many("rollup_add", rows, table=table)

    def _add_deltas(self, table: str, found: Mapping[tuple[int, str], Delta]) -> None:
        parts = query("snapshot_parts", table=table)
        self._connection.executemany(
            query("snapshot_add", table=table),
            [
                snapshot_row(*key, delta, self._connection.execute(parts, key).fetchone())
                for key, delta in found.items()
            ],
        )

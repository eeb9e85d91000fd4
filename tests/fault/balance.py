"""The comparison at the end: what clients were answered against what the database holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from weir.events import Outcome
from weir.metrics_api.metrics.dimension import NAMES
from weir.metrics_api.metrics.measure import Distributions
from weir.metrics_api.metrics.rollup import dimensions_of, fold
from weir.metrics_api.storage.port import SECONDS, Filter, RollupQuestion, Segment, Window
from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.fault.installation import Kind
    from tests.fault.ledger import Entry, Ledger

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import SnapshotLevel, Store

PAGE: Final = 5_000
EVER: Final = Window(0, 1 << 42)
_END: Final = 1 << 32
_SHOWN: Final = 10


@dataclass(slots=True)
class Balance:
    """What was compared, and what does not agree: nothing, if all is well."""

    requests: int = 0
    rows: int = 0
    by_outcome: Counter[str] = field(default_factory=Counter[str])
    tokens: int = 0
    """Of all rows, prompt and completion."""
    lost: list[str] = field(default_factory=list[str])
    lost_ids: list[str] = field(default_factory=list[str])
    """Of the same, to look into what became of them."""
    doubled: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    sums: list[str] = field(default_factory=list[str])

    @property
    def differences(self) -> list[str]:
        found = (self.lost, self.doubled, self.wrong, self.unknown, self.sums)
        return [line for lines in found for line in lines]


async def compare(ledger: Ledger, kind: Kind, database: str) -> Balance:
    """Hold the rows against the ledger, and every sum against the rows."""
    store = await open_store(kind, database)
    try:
        events = await all_rows(store)
        balance = compare_rows(ledger, events)
        await _compare_sums(balance, store, events)
    finally:
        await store.close()
    return balance


async def open_store(kind: Kind, database: str) -> Store:
    return await PostgresStore.open(database) if kind == "postgres" else SqliteStore.open(Path(database))


async def all_rows(store: Store) -> list[RequestEvent]:
    found: list[RequestEvent] = []
    position: int | None = None
    while True:
        page = await store.requests(EVER, Filter(), limit=PAGE, before=position)
        found += page.events
        position = page.next_position
        if position is None:
            return found


def compare_rows(ledger: Ledger, events: Sequence[RequestEvent]) -> Balance:
    """One row for each request that was accepted, saying what its client was told; no other row."""
    balance = Balance(requests=len(ledger.entries), rows=len(events))
    balance.by_outcome.update(str(event.outcome) for event in events)
    balance.tokens = sum((event.prompt_tokens or 0) + (event.completion_tokens or 0) for event in events)
    by_mark: dict[str, list[RequestEvent]] = {}
    for event in events:
        by_mark.setdefault(event.client_request_id or "", []).append(event)
    repeated = Counter(event.request_id for event in events)
    balance.doubled += [f"{name} has {times} rows" for name, times in repeated.items() if times > 1]
    for entry in ledger.entries:
        _compare_entry(balance, entry, by_mark.pop(entry.mark, []))
    balance.unknown += [f"nobody sent {mark}: {len(rows)} rows" for mark, rows in by_mark.items()]
    return balance


def _compare_entry(balance: Balance, entry: Entry, rows: Sequence[RequestEvent]) -> None:
    if not rows:
        if entry.request_id is not None:
            balance.lost.append(f"no row of {_shown(entry)}")
            balance.lost_ids.append(entry.request_id)
        return
    if len(rows) > 1:
        told = ", ".join(f"{row.request_id} {row.outcome}" for row in rows)
        balance.doubled.append(f"{len(rows)} rows of {_shown(entry)}: {told}")
        return
    (row,) = rows
    if entry.request_id not in {None, row.request_id}:
        balance.wrong.append(f"{_shown(entry)}: its row has the id {row.request_id}")
    if row.outcome not in entry.outcomes:
        balance.wrong.append(f"{_shown(entry)}: its row says {row.outcome}, {row.error_type}")
    elif row.outcome == Outcome.COMPLETED and entry.tokens is not None:
        tokens = (row.prompt_tokens, row.completion_tokens)
        if tokens != (entry.tokens.prompt, entry.tokens.completion):
            balance.wrong.append(f"{_shown(entry)}: its row says {tokens[0]} and {tokens[1]} tokens")


def _shown(entry: Entry) -> str:
    outcomes = " or ".join(sorted(entry.outcomes))
    return f"{entry.mark} ({entry.kind}, {entry.request_id or 'no head came'}, told {outcomes})"


async def _compare_sums(balance: Balance, store: Store, events: Sequence[RequestEvent]) -> None:
    """Each roll-up cell of each level, histograms and all, and the snapshots."""
    for level, seconds in SECONDS.items():
        expected = fold(events, seconds)
        question = RollupQuestion(
            (Segment(level, 0, _END),),
            group_by=NAMES,
            slot=(0, seconds),
            distributions=Distributions._fields,
        )
        found = {
            (answer.slot * seconds, answer.group): answer.cell for answer in await store.rollups(question)
        }
        wanted = {(bucket, tuple(dimensions)): cell for (bucket, dimensions), cell in expected.items()}
        balance.sums += _differences(f"roll-up {level}", wanted, found)
    for level in ("5s", "1m"):
        await _compare_snapshots(balance, store, level, events)


async def _compare_snapshots(
    balance: Balance, store: Store, level: SnapshotLevel, events: Iterable[RequestEvent]
) -> None:
    step = SECONDS[level]
    wanted: Counter[tuple[int, str]] = Counter()
    for event in events:
        second = event.started_at // 1_000_000
        wanted[second - second % step, dimensions_of(event).variant] += 1
    stored = await store.snapshots(level, 0)
    found = {(row.bucket, row.variant): row.requests for row in stored.rows if row.requests}
    balance.sums += _differences(f"snapshots {level}", dict(wanted), found)
    for variant, totals in stored.totals.items():
        summed = [row.totals for row in stored.rows if row.variant == variant]
        if tuple(map(sum, zip(*summed, strict=True))) != tuple(totals):
            balance.sums.append(f"totals of {variant}: {totals}, in the buckets: {summed}")


def _differences(what: str, wanted: Mapping[Any, object], found: Mapping[Any, object]) -> list[str]:
    keys = [key for key in {**wanted, **found} if wanted.get(key) != found.get(key)]
    return [
        f"{what} at {key}: {found.get(key)}, but its rows make {wanted.get(key)}" for key in keys[:_SHOWN]
    ]

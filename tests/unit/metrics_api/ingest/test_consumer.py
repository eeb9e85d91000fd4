"""The consumer against a database that misbehaves; the real one is met in the integration tests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from tests.support.builders import make_event

from weir.events import RequestEvent, encode
from weir.events.reader import Entry, StreamReader
from weir.metrics_api.ingest.backoff import Backoff
from weir.metrics_api.ingest.consumer import Consumer
from weir.metrics_api.ingest.progress import Progress
from weir.metrics_api.storage.port import StorageError, UnstorableRecordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.events.dead_letters import DeadLetter
    from weir.events.stream import StreamId


class Stream(StreamReader):
    """Gives one batch and then nothing; remembers what became of its entries."""

    def __init__(self, entries: list[Entry]) -> None:
        self.stream = "s"
        self._entries = entries
        self.acknowledged: list[Entry] = []
        self.published: list[bytes] = []
        self.buried: list[DeadLetter] = []
        self.done = asyncio.Event()

    async def ensure_group(self, settled: StreamId | None) -> bool:
        return False

    async def join(self) -> None:
        pass

    async def deliveries(self, after: bytes, count: int) -> dict[bytes, int]:
        return {}

    async def own_pending(self, after: bytes = b"0", count: int = 1) -> list[Entry]:
        return []

    async def next(self, count: int = 1) -> list[Entry]:
        if not self._entries:
            await asyncio.Event().wait()
        given, self._entries = self._entries, []
        return given

    async def finish(self, entries: Sequence[Entry]) -> None:
        self.acknowledged += entries
        self._settled()

    async def publish(self, live: Sequence[bytes]) -> None:
        self.published += live

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.buried += letters
        self._settled()

    def _settled(self) -> None:
        self.done.set()


class Database:
    """Refuses some records for what they are, and everything for a while."""

    def __init__(self, refused: set[str], failures: int = 0) -> None:
        self.stored: list[RequestEvent] = []
        self.attempts = 0
        self._refused = refused
        self._failures = failures

    async def settled_to(self, stream: str) -> StreamId | None:
        return None

    async def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        self.attempts += 1
        if self._failures:
            self._failures -= 1
            raise StorageError("SQLite: database is locked")
        if any(event.request_id in self._refused for event in events):
            raise UnstorableRecordError("too odd")
        self.stored += events
        return list(events)


def entries(events: list[RequestEvent]) -> list[Entry]:
    return [Entry(f"{i}-0".encode(), encode(event)) for i, event in enumerate(events, 1)]


async def run(stream: Stream, database: Database, expected: int) -> Progress:
    progress = Progress(CollectorRegistry())
    task = asyncio.ensure_future(Consumer([stream], database, progress).run())
    async with asyncio.timeout(30):
        while len(stream.acknowledged) + len(stream.buried) < expected:
            stream.done.clear()
            await stream.done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return progress


async def test_a_record_that_the_database_refuses_does_not_hold_up_the_others() -> None:
    events = [make_event() for _ in range(20)]
    stream = Stream(entries(events))
    odd = {events[3].request_id, events[17].request_id}
    database = Database(odd)
    await run(stream, database, 20)
    assert {event.request_id for event in database.stored} == {e.request_id for e in events} - odd
    assert [letter.entry_id for letter in stream.buried] == [b"4-0", b"18-0"]
    assert all(letter.reason == "the database refuses it: too odd" for letter in stream.buried)
    assert len(stream.acknowledged) == 18


def no_pause(_backoff: Backoff) -> float:
    return 0.0


async def test_nothing_is_acknowledged_before_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "pause", no_pause)
    stream = Stream(entries([make_event()]))
    database = Database(set(), failures=3)
    progress = await run(stream, database, 1)
    assert database.attempts == 4
    assert len(stream.acknowledged) == len(database.stored) == 1
    assert progress.database_trouble is None


async def test_what_is_published_is_what_was_stored() -> None:
    event = make_event()
    stream = Stream(entries([event]))
    await run(stream, Database(set()), 1)
    (message,) = stream.published
    assert event.request_id.encode() in message

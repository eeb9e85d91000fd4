"""Reading a real Redis: nothing skipped, nothing kept for ever, whoever deletes what behind one's back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import OutOfMemoryError
from tests.support.builders import make_event
from tests.support.redis_server import RedisServer

from weir.events import encode, reader
from weir.events.corridor import COUNTED_BY_HAND, Corridor
from weir.events.dead_letters import letters
from weir.events.reader import BATCH_BYTES, FEWEST, MOST, BatchSize, Entry, StreamReader, client
from weir.events.stream import DEAD_COUNTS, FIELD, GROUP, REQUESTS, StreamId
from weir.metrics_api.ingest import consumer as consuming
from weir.metrics_api.ingest.consumer import GIVE_UP_AFTER, Consumer
from weir.metrics_api.ingest.progress import Progress
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from redis.asyncio import Redis

    from weir.events import RequestEvent


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    redis = client(redis_server.url)
    yield redis
    await redis.aclose()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "weir.db")
    yield store
    await store.close()


async def send(redis: Redis, *payloads: bytes) -> list[bytes]:
    async with redis.pipeline(transaction=False) as pipe:
        for payload in payloads:
            pipe.xadd(REQUESTS, {FIELD: payload})
        return await pipe.execute()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in Redis
            await asyncio.sleep(0.02)


def stored(store: SqliteStore, count: int) -> Any:
    async def condition() -> bool:
        return sum(one.stored for one in (await store.accounts()).journals) >= count

    return condition


async def pending(redis: Redis) -> int:
    found: Any = await redis.xpending(REQUESTS, GROUP)
    return found["pending"]


@asynccontextmanager
async def consuming_as(name: str, redis: Redis, blocking: Redis, store: Any) -> AsyncGenerator[Progress]:
    """A consumer at work; it ends as a process that is killed does: nothing is tidied up."""
    progress = Progress(CollectorRegistry())
    task = asyncio.create_task(Consumer([StreamReader(redis, blocking, name)], store, progress).run())
    try:
        yield progress
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def blocking(redis_server: RedisServer) -> AsyncIterator[Redis]:
    blocking = client(redis_server.url, block=reader.BLOCK_SECONDS)
    yield blocking
    await blocking.aclose()


def test_batches_grow_while_they_are_full_and_shrink_when_there_is_little() -> None:
    size = BatchSize()
    entry = Entry(b"1-0", b"x" * 1000)
    seen: list[int] = []
    for _ in range(6):
        seen.append(size.entries)
        size.after([entry] * size.entries)
    assert seen == [100, 200, 400, 800, 1600, MOST]
    size.after([Entry(b"1-0", b"x" * 64_000)] * MOST)
    assert size.entries == MOST * BATCH_BYTES // (64_000 * MOST), "as many as fit"
    size = BatchSize()
    size.entries = MOST
    for _ in range(20):
        size.after([entry])
    assert size.entries == FEWEST
    size.after([])
    assert size.entries == FEWEST


async def test_a_lost_group_begins_where_all_is_stored(redis: Redis) -> None:
    reading = StreamReader(redis, redis, "c")
    assert await reading.ensure_group(None)
    assert not await reading.ensure_group(None)
    ids = await send(redis, b"1", b"2", b"3", b"4")
    entries = await reading.next()
    await reading.finish(entries[:2])
    settled = await reading.trim()
    assert settled is not None
    assert settled < StreamId.of(ids[2])
    assert await redis.xlen(REQUESTS) == 2
    await redis.xgroup_destroy(REQUESTS, GROUP)
    assert await reading.ensure_group(settled)
    assert [entry.data for entry in await reading.next()] == [b"3", b"4"]
    await reading.finish(entries)
    assert await reading.trim() == StreamId.of(ids[3])


async def test_a_stream_that_is_another_one_is_read_from_its_beginning(redis: Redis) -> None:
    """After FLUSHALL, with the clock of Redis stepped back meanwhile."""
    reading = StreamReader(redis, redis, "c")
    await redis.xadd(REQUESTS, {FIELD: b"1"}, id="500-1")
    assert await reading.ensure_group(StreamId(1_700_000_000_000, 0))
    assert [entry.data for entry in await reading.next()] == [b"1"]


async def test_what_another_group_still_needs_is_not_trimmed(redis: Redis) -> None:
    reading = StreamReader(redis, redis, "c")
    await redis.xgroup_create(REQUESTS, "theirs", id="0", mkstream=True)
    await reading.ensure_group(None)
    ids = await send(redis, b"1", b"2", b"3")
    await reading.finish(await reading.next())
    assert await reading.trim() == StreamId.of(ids[2]), "our own position, whatever the others do"
    assert await redis.xlen(REQUESTS) == 3
    await redis.xreadgroup("theirs", "x", {REQUESTS: ">"}, count=2)
    await redis.xack(REQUESTS, "theirs", ids[0])
    await reading.trim()
    assert await redis.xlen(REQUESTS) == 2


async def test_nothing_is_trimmed_while_our_own_group_is_lost(redis: Redis) -> None:
    reading = StreamReader(redis, redis, "c")
    await redis.xgroup_create(REQUESTS, "theirs", id="0", mkstream=True)
    await reading.ensure_group(None)
    ids = await send(redis, b"1", b"2")
    await redis.xreadgroup("theirs", "x", {REQUESTS: ">"})
    await redis.xack(REQUESTS, "theirs", *ids)
    await redis.xgroup_destroy(REQUESTS, GROUP)
    assert await reading.trim() is None
    assert await redis.xlen(REQUESTS) == 2, "they have read everything, we have not"


async def test_the_cap_takes_the_oldest_read_or_not(redis: Redis) -> None:
    reading = StreamReader(redis, redis, "c")
    ids = await send(redis, *(b"%d" % number for number in range(250)))
    assert await reading.cap(250) == 0
    assert await reading.cap(30) == 220
    first: Any = await redis.xrange(REQUESTS, count=1)
    assert first[0][0] == ids[220]


async def test_entries_of_a_dead_consumer_are_taken_over_and_counted(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CLAIM_AFTER_SECONDS", 0.0)
    dead, living = StreamReader(redis, redis, "dead"), StreamReader(redis, redis, "living")
    await living.ensure_group(None)
    await send(redis, *(b"%d" % number for number in range(5000)))
    taken = [*await dead.next(), *await dead.next(), *await dead.next()]
    assert len(taken) == 5000
    await redis.xdel(REQUESTS, taken[7].id)
    assert await living.claim() == 5000
    assert await dead.own_pending() == []
    found = await living.own_pending(count=10)
    assert [entry.gone for entry in found] == [False] * 7 + [True] + [False] * 2
    counts = await living.deliveries(found[1].id, 3)
    assert counts == dict.fromkeys([entry.id for entry in found[2:5]], 2)


async def test_two_consumers_one_dies_holding_entries(
    redis: Redis, blocking: Redis, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CLAIM_AFTER_SECONDS", 0.2)
    monkeypatch.setattr(consuming, "CLAIM_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(reader, "BLOCK_SECONDS", 0.1)
    dead = StreamReader(redis, redis, "dead")
    await dead.ensure_group(None)
    events = [make_event(journal="b-1", sequence=number + 1) for number in range(300)]
    await send(redis, *map(encode, events[:200]))
    held = await dead.next(150)
    async with consuming_as("living", redis, blocking, store):
        await send(redis, *map(encode, events[200:]))
        await until(stored(store, 300))
        await until(lambda: _none_pending(redis))
    assert len(held) == 150
    (journal,) = (await store.accounts()).journals
    assert (journal.stored, journal.last_sequence) == (300, 300)


async def _none_pending(redis: Redis) -> bool:
    return await pending(redis) == 0


async def test_entries_deleted_while_they_were_pending_do_not_stay_for_ever(
    redis: Redis, blocking: Redis, store: SqliteStore
) -> None:
    before = StreamReader(redis, redis, "c")
    await before.ensure_group(None)
    ids = await send(redis, *(encode(make_event()) for _ in range(10)))
    await before.next()
    await redis.xdel(REQUESTS, *ids[:4])
    async with consuming_as("c", redis, blocking, store) as progress:
        await until(stored(store, 6))
        await until(lambda: _none_pending(redis))
        assert progress.lost._value.get() == 4
    assert [one async for one in letters(redis)] == []


async def test_a_redis_that_is_full_is_drained(tmp_path: Path, store: SqliteStore) -> None:
    """It takes no live message and no dead letter, and must not need to: what is read makes room."""
    server = RedisServer(tmp_path / "small", ["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"])
    server.start()
    redis, blocking = client(server.url), client(server.url, block=reader.BLOCK_SECONDS)
    try:
        await StreamReader(redis, redis, "c").ensure_group(None)
        await redis.xadd(REQUESTS, {FIELD: b"odd"})
        sent = await _filled(redis)
        async with consuming_as("c", redis, blocking, store):
            await until(stored(store, sent))
            await until(lambda: _only_pending(redis, 1))
            await StreamReader(redis, redis, "c").trim()
            await redis.xtrim(REQUESTS, maxlen=sent // 2, approximate=False)
            await until(lambda: _none_pending(redis))
        assert [letter.data async for letter in letters(redis)] == [b"odd"]
    finally:
        await redis.aclose()
        await blocking.aclose()
        server.stop()


async def _filled(redis: Redis) -> int:
    """How many records Redis took before it was full."""
    sent = 0
    while True:
        try:
            await redis.xadd(REQUESTS, {FIELD: encode(make_event(started_at=None))})
        except OutOfMemoryError:
            return sent
        sent += 1


async def _only_pending(redis: Redis, count: int) -> bool:
    return await pending(redis) <= count


class Crashing:
    """A store that the process does not survive when it is given one of some records."""

    def __init__(self, store: SqliteStore, fatal: str) -> None:
        self._store = store
        self._fatal = fatal

    async def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        if any(event.request_id == self._fatal for event in events):
            raise MemoryError
        return await self._store.add(events)

    async def settled_to(self, stream: str) -> StreamId | None:
        return await self._store.settled_to(stream)


async def test_what_ends_the_process_each_time_is_put_aside_alone(
    redis: Redis, blocking: Redis, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BLOCK_SECONDS", 0.05)
    events = [make_event(journal="b-1", sequence=number) for number in range(1, 30)]
    await send(redis, *map(encode, events))
    crashing = Crashing(store, events[11].request_id)
    for _ in range(GIVE_UP_AFTER + 1):
        consumer = Consumer([StreamReader(redis, blocking, "c")], crashing, Progress(CollectorRegistry()))
        task = asyncio.create_task(consumer.run())
        async with asyncio.timeout(30):
            while not task.done() and await redis.hlen(DEAD_COUNTS) == 0:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        if not task.done():
            await until(stored(store, 28))
            task.cancel()
        with pytest.raises((BaseExceptionGroup, asyncio.CancelledError)):
            await task
    (letter,) = [one async for one in letters(redis)]
    assert letter.data == encode(events[11])
    assert "may be what ends the metrics API" in letter.reason
    assert (letter.life, letter.deliveries) == ("proxy-1/b", GIVE_UP_AFTER + 1)
    assert (await store.accounts()).journals[0].stored == 28
    assert await pending(redis) == 0


async def test_how_much_waits_is_known_also_before_redis_7(redis: Redis) -> None:
    corridor = Corridor(redis)
    await send(redis, b"1")
    state = await corridor.stream()
    assert (state.entries, state.unread, state.consumers) == (1, 1, 0), "nobody reads yet"
    reading = StreamReader(redis, redis, "c")
    await reading.ensure_group(None)
    await send(redis, *(b"%d" % number for number in range(99)))
    await reading.finish((await reading.next(40))[:30])
    state = await corridor.stream()
    assert (state.entries, state.unread, state.pending, state.waiting_at_most) == (100, 60, 10, 70)
    assert state.lag_seconds >= 0
    await send(redis, *(b"x" for _ in range(COUNTED_BY_HAND)))
    state = await corridor.stream()
    known = COUNTED_BY_HAND + 60
    assert state.unread in {None, known}
    assert state.waiting_at_most >= known + 10
    assert state.unread_at_least <= known

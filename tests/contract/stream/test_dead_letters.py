"""Dead letters in a real Redis: each in one place at any time, whoever repeats what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.redis_server import free_port

from weir.events import dead_letters
from weir.events.dead_letters import LONGEST, DeadLetter, bury, letters
from weir.events.reader import StreamReader, client
from weir.events.stream import DEAD, DEAD_COUNTS, FIELD, GROUP, REQUESTS
from weir.metrics_api.ingest.dead_letters import Wish, drop, listed, replay
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis
    from tests.support.redis_server import RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    redis = client(redis_server.url)
    yield redis
    await redis.aclose()


async def delivered(redis: Redis, *payloads: bytes) -> list[bytes]:
    """Ids of entries that a consumer has been given."""
    for payload in payloads:
        await redis.xadd(REQUESTS, {FIELD: payload})
    reader = StreamReader(redis, redis, "c")
    await reader.ensure_group(None)
    return [entry.id for entry in await reader.next()]


async def put_aside(redis: Redis, *payloads: bytes, life: str = "p/b") -> None:
    for identifier, payload in zip(await delivered(redis, *payloads), payloads, strict=True):
        await bury(redis, REQUESTS, [DeadLetter(identifier, payload, f"bad {len(payload)}", life)])


async def counts(redis: Redis) -> dict[Any, Any]:
    return await redis.hgetall(DEAD_COUNTS)


async def in_stream(redis: Redis) -> list[bytes]:
    found: Any = await redis.xrange(REQUESTS)
    return [fields[FIELD.encode()] for _, fields in found]


async def test_an_entry_is_put_aside_once_with_all_that_is_known(redis: Redis) -> None:
    (identifier,) = await delivered(redis, b"odd")
    again = StreamReader(redis, redis, "c")
    await again.own_pending()
    letter = DeadLetter(identifier, b"odd", "it is odd", "p/b")
    for _ in range(3):  # as when the answer was lost
        await bury(redis, REQUESTS, [letter])
    (found,) = [one async for one in letters(redis)]
    assert (found.entry_id, found.reason, found.deliveries) == (identifier.decode(), "it is odd", 2)
    assert (found.life, found.data, found.is_whole) == ("p/b", b"odd", True)
    assert found.put_aside_at > 1_700_000_000_000
    assert await counts(redis) == {b"p/b": b"1"}
    pending: Any = await redis.xpending(REQUESTS, GROUP)
    assert pending["pending"] == 0


async def test_replay_moves_it_back_once(redis: Redis, redis_server: RedisServer) -> None:
    await put_aside(redis, b"one", b"two")
    await put_aside(redis, b"three", life="")
    found = [one async for one in letters(redis)]
    done = await replay(redis_server.url, Wish([found[0].id]))
    assert (done.found, done.done) == (1, 1)
    assert not await dead_letters.replay(redis, found[0], REQUESTS), "it is gone"
    assert await in_stream(redis) == [b"one", b"two", b"three", b"one"]
    assert await counts(redis) == {b"p/b": b"1", b"": b"1"}
    done = await replay(redis_server.url, Wish())
    assert (done.found, done.done) == (2, 2)
    assert (await counts(redis), await redis.xlen(DEAD)) == ({}, 0)


async def test_what_was_dropped_is_gone_and_still_accounted_for(
    redis: Redis, redis_server: RedisServer
) -> None:
    await put_aside(redis, b"one", b"two")
    done = await drop(redis_server.url, Wish(["1-1", "2-2"]))
    assert (done.done, done.missing(Wish(["1-1", "2-2"]))) == (0, 2)
    assert (await drop(redis_server.url, Wish())).done == 2
    assert (await redis.xlen(DEAD), await counts(redis)) == (0, {b"p/b": b"2"})
    assert await in_stream(redis) == [b"one", b"two"]


async def test_of_a_huge_entry_the_beginning_is_kept_and_never_replayed(
    redis: Redis, redis_server: RedisServer
) -> None:
    await put_aside(redis, b"x" * (LONGEST + 1))
    (found,) = [one async for one in letters(redis)]
    assert (len(found.data), found.is_whole) == (LONGEST, False)
    done = await replay(redis_server.url, Wish())
    assert (done.found, done.done, done.cut) == (1, 0, 1)
    assert await redis.xlen(DEAD) == 1


async def test_the_list_says_why_and_never_what(redis: Redis, redis_server: RedisServer) -> None:
    assert await listed(redis_server.url, as_json=False) == "There are no dead letters."
    assert await listed(redis_server.url, as_json=True) == ""
    (identifier,) = await delivered(redis, b"SECRET PROMPT")
    reason = "\x1b[31mbad\n" + "y" * 500
    await bury(redis, REQUESTS, [DeadLetter(identifier, b"SECRET PROMPT", reason, "p/b")])
    table, lines = await listed(redis_server.url, as_json=False), await listed(redis_server.url, as_json=True)
    assert "SECRET" not in table + lines
    assert "\x1b" not in table
    head, row, count = table.splitlines()
    assert head.split() == ["ID", "PUT", "ASIDE", "(UTC)", "FROM", "TRIES", "BYTES", "REASON"]
    assert row.split()[3:6] == ["p/b", "1", "13"]
    assert len(row) < 300
    assert count == "1 dead letter"
    (document,) = [json.loads(line) for line in lines.splitlines()]
    assert (document["entry_id"], document["whole"], document["bytes"]) == (identifier.decode(), True, 13)


async def test_letters_beyond_one_page_and_of_another_version(redis: Redis) -> None:
    await redis.xadd(DEAD, {FIELD: b"old", "id": "5-0", "reason": "as version 0.1 wrote it"})
    await put_aside(redis, *(b"%d" % number for number in range(120)))
    found = [one async for one in letters(redis)]
    assert [one.data for one in found] == [b"old", *(b"%d" % number for number in range(120))]
    assert (found[0].deliveries, found[0].life, found[0].is_whole) == (None, "", True)


async def test_without_redis_the_reason_is_said(redis_server: RedisServer) -> None:
    with pytest.raises(StartError, match="start it, or correct REDIS_URL"):
        await listed(f"redis://127.0.0.1:{free_port()}/0", as_json=False)

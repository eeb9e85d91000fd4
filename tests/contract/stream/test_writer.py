"""Shipping to a real Redis: every reply counts, and no answer is ever taken for another's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import hiredis
import pytest
from redis.asyncio import Redis
from tests.support.redis_server import RedisServer, free_port

from weir.events import writer as writing
from weir.events.stream import FIELD, GROUP, REQUESTS
from weir.events.writer import StreamUnavailableError, StreamWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
async def writer(redis_server: RedisServer) -> AsyncIterator[StreamWriter]:
    writer = StreamWriter(redis_server.url)
    yield writer
    await writer.close()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    redis = Redis.from_url(redis_server.url)
    yield redis
    await redis.aclose()


@pytest.fixture
def small_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One with little memory that evicts nothing."""
    server = RedisServer(tmp_path / "small", ["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"])
    server.start()
    yield server
    server.stop()


async def stored(redis: Redis) -> list[bytes]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(REQUESTS))
    return [fields[FIELD.encode()] for _, fields in entries]


async def test_payloads_arrive_whole_and_in_order(writer: StreamWriter, redis: Redis) -> None:
    payloads = [b"{%d}" % number for number in range(1000)]
    payloads += [b"\r\n$5\r\n", b"\x00\xff", "é".encode(), b"x" * 65_536]
    await writer.write(payloads[:500])
    await writer.write(payloads[500:])
    assert await stored(redis) == payloads


async def test_nothing_to_write_is_written(writer: StreamWriter, redis: Redis) -> None:
    await writer.write([])
    assert await stored(redis) == []


async def test_a_refusal_is_no_confirmation_and_the_connection_stays_in_step(
    writer: StreamWriter, redis: Redis
) -> None:
    await redis.set(REQUESTS, "not a stream")
    for _ in range(2):
        with pytest.raises(StreamUnavailableError, match="WRONGTYPE"):
            await writer.write([b"1", b"2", b"3"])
    await redis.delete(REQUESTS)
    await writer.write([b"4"])
    assert await stored(redis) == [b"4"]
    clients = await redis.client_list()
    assert len(clients) == 2, "a refusal does not cost a connection"


async def test_one_refusal_among_many_is_seen(small_redis: RedisServer) -> None:
    writer, redis = StreamWriter(small_redis.url), Redis.from_url(small_redis.url)
    batch = [b"%d" % number + b"x" * 30_000 for number in range(200)]
    with pytest.raises(StreamUnavailableError, match=r"it is full: .*maxmemory") as caught:
        await writer.write(batch)
    kept = await stored(redis)
    assert 0 < len(kept) < len(batch), "the first fitted"
    assert [*kept, *caught.value.left] == batch, "what is left is what was refused"
    with pytest.raises(StreamUnavailableError, match="maxmemory"):
        await writer.write([b"y" * 30_000])
    await writer.check()
    await redis.delete(REQUESTS)
    await writer.write([b"z"])
    assert await stored(redis) == [b"z"]
    await writer.close()
    await redis.aclose()


async def test_a_redis_that_is_not_there() -> None:
    writer = StreamWriter(f"redis://127.0.0.1:{free_port()}/0")
    for _ in range(2):
        with pytest.raises(StreamUnavailableError):
            await writer.write([b"1"])
        with pytest.raises(StreamUnavailableError):
            await writer.check()


async def test_a_restart_is_noticed(writer: StreamWriter, redis_server: RedisServer) -> None:
    await writer.write([b"1"])
    before = writer.server
    redis_server.kill9()
    with pytest.raises(StreamUnavailableError):
        await writer.write([b"2"])
    redis_server.start()
    await writer.write([b"3"])
    again = writer.server
    assert again != before
    await writer.write([b"4"])
    assert writer.server == again
    redis = Redis.from_url(redis_server.url)
    assert (await stored(redis))[-2:] == [b"3", b"4"]
    await redis.aclose()


async def test_data_that_are_gone_are_noticed(writer: StreamWriter, redis: Redis) -> None:
    """FLUSHALL, or a Redis that loaded an old copy: the same process, without what it had confirmed."""
    await writer.write([b"1"])
    before = writer.server
    await writer.check()
    assert writer.server == before
    await redis.flushall()
    await writer.check()
    again = writer.server
    assert again != before
    await writer.check()
    assert writer.server == again


async def test_two_proxies_see_the_same_server(writer: StreamWriter, redis_server: RedisServer) -> None:
    other = StreamWriter(redis_server.url)
    await asyncio.gather(writer.check(), other.check())
    assert writer.server == other.server != ""
    await other.close()


async def test_what_is_stored_is_known_when_the_readers_have_acknowledged_it(
    writer: StreamWriter, redis: Redis
) -> None:
    async def known_after_checks() -> bool:
        before = time.monotonic()
        for _ in range(2):
            await writer.check()
        return writer.stored_until > before

    await writer.write([b"1", b"2"])
    assert not await known_after_checks(), "nobody reads"
    await redis.xgroup_create(REQUESTS, GROUP, id="0")
    assert not await known_after_checks()
    first, second = [
        identifier for identifier, _ in cast("list[tuple[bytes, Any]]", await redis.xrange(REQUESTS))
    ]
    await redis.xreadgroup(GROUP, "me", {REQUESTS: ">"})
    assert not await known_after_checks(), "read, and not stored yet"
    await redis.xack(REQUESTS, GROUP, second)
    assert not await known_after_checks(), "the first is not"
    await redis.xack(REQUESTS, GROUP, first)
    assert await known_after_checks()
    await writer.write([b"3"])
    await writer.check()
    known = writer.stored_until
    await redis.flushall()
    await writer.write([b"4"])
    await redis.xgroup_create(REQUESTS, GROUP, id="$")
    for _ in range(2):
        await writer.check()
    assert writer.stored_until == known, "that 4 is stored says nothing about 3"


async def test_what_was_confirmed_before_the_connection_broke_is_not_left() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands, added = hiredis.Reader(), 0
        while data := await reader.read(65536):
            commands.feed(data)
            while command := commands.gets():
                added += command[0] == b"XADD"
                if added == 5:
                    writer.close()
                    return
                refused = added == 3 and command[0] == b"XADD"
                writer.write(b"-ERR not this one\r\n" if refused else b"$3\r\n1-1\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    writer = StreamWriter(f"redis://127.0.0.1:{port}/0")
    with pytest.raises(StreamUnavailableError) as caught:
        await writer.write([b"%d" % number for number in range(1, 8)])
    assert caught.value.left == [b"3", b"5", b"6", b"7"]
    server.close()
    await server.wait_closed()


async def test_a_lost_connection_to_the_same_server_is_no_restart(writer: StreamWriter, redis: Redis) -> None:
    await writer.write([b"1"])
    before = writer.server
    await redis.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StreamUnavailableError):
        await writer.write([b"2"])
    await writer.write([b"3"])
    assert writer.server == before


async def test_a_redis_that_hangs_is_given_up(
    redis_server: RedisServer, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "REPLY_TIMEOUT_SECONDS", 0.2)
    writer = StreamWriter(redis_server.url)
    await writer.write([b"1"])
    redis_server.pause()
    async with asyncio.timeout(30):
        with pytest.raises(StreamUnavailableError):
            await writer.write([b"2"])
    redis_server.resume()
    await writer.write([b"3"])
    # What was sent into the hanging server may have been stored: confirmed is what came after.
    assert set(await stored(redis)) - {b"2"} == {b"1", b"3"}
    await writer.close()


async def test_a_cancelled_write_never_leaves_its_answer_to_the_next(
    writer: StreamWriter, redis_server: RedisServer, redis: Redis
) -> None:
    await writer.write([b"1"])
    redis_server.pause()
    cancelled = asyncio.create_task(writer.write([b"2"] * 10))
    for _ in range(100):
        await asyncio.sleep(0)  # turns enough to send the batch and to wait for its answers
    assert not cancelled.done()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    redis_server.resume()
    await redis.set("weir:other", "x")
    await redis.rename("weir:other", REQUESTS)
    # The ten confirmations that nobody read must not be taken for these refusals.
    with pytest.raises(StreamUnavailableError, match="WRONGTYPE"):
        await writer.write([b"3"])


async def test_after_a_cancelled_write_a_restart_is_noticed_all_the_same(
    writer: StreamWriter, redis_server: RedisServer
) -> None:
    await writer.write([b"1"])
    before = writer.server
    redis_server.pause()
    cancelled = asyncio.create_task(writer.write([b"2"]))
    for _ in range(100):
        await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    redis_server.kill9()
    redis_server.start()
    await writer.write([b"3"])
    assert writer.server != before


@pytest.mark.parametrize(("password", "is_right"), [("secret", True), ("wrong", False), ("", False)])
async def test_a_redis_with_a_password(tmp_path: Path, password: str, is_right: bool) -> None:
    server = RedisServer(tmp_path / "locked")
    server.start()
    admin = Redis.from_url(server.url)
    await admin.config_set("requirepass", "secret")
    try:
        credentials = f":{password}@" if password else ""
        writer = StreamWriter(f"redis://{credentials}127.0.0.1:{server.port}/0")
        if is_right:
            await writer.write([b"1"])
        else:
            with pytest.raises(StreamUnavailableError) as caught:
                await writer.write([b"1"])
            assert "wrong" not in str(caught.value)
        await writer.close()
    finally:
        await admin.aclose()
        server.stop()

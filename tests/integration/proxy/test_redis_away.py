"""Redis comes and goes; clients see nothing of it, and every record arrives once it is back."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from tests.support.fake_llm import FakeLLM
from tests.support.proxy import ask, start_proxy
from tests.support.raw_http import fetch
from tests.support.records import Records, marker
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.processes import Process


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as fake:
        yield fake


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """Not started yet."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
async def proxy(fake: FakeLLM, redis: RedisServer, tmp_path: Path) -> AsyncIterator[Process]:
    process = start_proxy(redis.url, tmp_path / "data", {"WEIR_UPSTREAM_URL": fake.url})
    yield process
    assert await asyncio.to_thread(process.stop) == 0, process.stderr


async def served(proxy: Process, count: int) -> list[str]:
    marks = [marker() for _ in range(count)]
    answers = await asyncio.gather(
        *(ask(proxy.url, "answer", mark, stream=number % 3 == 0) for number, mark in enumerate(marks))
    )
    assert {answer.status for answer in answers} == {200}
    return marks


async def read_back(redis: RedisServer, marks: list[str], *, may_repeat: bool = False) -> None:
    """All these records are in the stream and no other; each once, unless it was sent again to be safe."""
    client = Redis.from_url(redis.url)
    try:
        records = Records(client, repeats_allowed=may_repeat)
        await records.of_all(marks, deadline=15)
        assert {event.client_request_id for event in records.events} == set(marks)
    finally:
        await client.aclose()


async def becomes(proxy: Process, status: str) -> None:
    async def is_it() -> bool:
        answer = await fetch(proxy.announced["admin_url"], "GET", "/readyz")
        assert answer.status == 200, "without Redis the proxy serves on"
        return answer.json()["status"] == status

    await eventually(is_it, f"the proxy says that it is {status}")


async def test_redis_is_not_there_at_the_start(redis: RedisServer, proxy: Process) -> None:
    marks = await served(proxy, 50)
    await becomes(proxy, "degraded")
    redis.start()
    await read_back(redis, marks)
    await becomes(proxy, "ok")


async def test_redis_is_killed_and_started_again(redis: RedisServer, proxy: Process) -> None:
    redis.start()
    marks = await served(proxy, 30)
    redis.kill9()
    marks += await served(proxy, 30)
    redis.start()
    marks += await served(proxy, 30)
    await read_back(redis, marks, may_repeat=True)


async def test_redis_hangs_in_the_middle(redis: RedisServer, proxy: Process) -> None:
    redis.start()
    marks = await served(proxy, 10)
    redis.pause()
    marks += await served(proxy, 30)
    await becomes(proxy, "degraded")  # it has given up waiting for what it sent
    marks += await served(proxy, 10)
    redis.resume()
    await read_back(redis, marks, may_repeat=True)
    await becomes(proxy, "ok")


async def test_redis_comes_back_without_its_memory(redis: RedisServer, proxy: Process) -> None:
    """It had confirmed those records, but lost them: another server is told again."""
    redis.start()
    marks = await served(proxy, 40)
    await read_back(redis, marks)
    redis.kill9()
    shutil.rmtree(redis.directory)
    redis.start()
    marks += await served(proxy, 1)
    await read_back(redis, marks, may_repeat=True)


async def test_records_outlive_a_proxy_that_stops_while_redis_is_away(
    fake: FakeLLM, redis: RedisServer, tmp_path: Path
) -> None:
    settings = {"WEIR_UPSTREAM_URL": fake.url}
    first = start_proxy(redis.url, tmp_path / "data", settings)
    marks = await served(first, 20)
    assert await asyncio.to_thread(first.stop) == 0, first.stderr
    redis.start()
    second = start_proxy(redis.url, tmp_path / "data", settings)
    marks += await served(second, 5)
    await read_back(redis, marks)
    assert await asyncio.to_thread(second.stop) == 0, second.stderr


async def test_records_outlive_a_proxy_that_is_killed_while_redis_is_away(
    fake: FakeLLM, redis: RedisServer, tmp_path: Path
) -> None:
    """SIGKILL of the parent: its workers follow it, and the next start ships what they left."""
    settings = {"WEIR_UPSTREAM_URL": fake.url}
    first = start_proxy(redis.url, tmp_path / "data", settings)
    marks = await served(first, 20)
    first.kill9()
    redis.start()
    second = start_proxy(redis.url, tmp_path / "data", settings)
    await read_back(redis, marks)
    assert await asyncio.to_thread(second.stop) == 0, second.stderr

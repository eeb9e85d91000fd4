"""One Redis, one fake model server and one proxy for each module; its records must each be there once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.support.fake_llm import FakeLLM
from tests.support.proxy import start_proxy
from tests.support.records import Records
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.processes import Process


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as fake:
        yield fake


@pytest.fixture(scope="module")
def proxy_settings(fake: FakeLLM) -> dict[str, str]:
    """Settings on top of the usual ones; a module may override this."""
    return {"WEIR_UPSTREAM_URL": fake.url}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    redis_server: RedisServer,
    proxy_settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Process]:
    process = start_proxy(redis_server.url, tmp_path_factory.mktemp("proxy"), proxy_settings)
    yield process
    assert await asyncio.to_thread(process.stop) == 0, process.stderr
    assert "Traceback" not in process.stderr, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def records(redis_server: RedisServer, proxy: Process) -> AsyncIterator[Records]:
    redis = Redis.from_url(redis_server.url)
    records = Records(redis)
    yield records
    await records.read()
    records.assert_once()
    await redis.aclose()

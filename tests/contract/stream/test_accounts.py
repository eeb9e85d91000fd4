"""Accounts in a real Redis: one a life of a proxy, there until they are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from weir.events.accounts import Account, forget, publish_accounts, read_accounts
from weir.events.stream import ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.redis_server import RedisServer


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    redis = Redis.from_url(redis_server.url)
    yield redis
    await redis.aclose()


async def test_the_latest_of_each_life_is_there_until_it_is_forgotten(redis: Redis) -> None:
    first = Account(proxy_id="p", boot_id="1", sent_at=1, accepted=9, acknowledged=8, in_flight=1)
    closed = Account(proxy_id="p", boot_id="1", sent_at=3, accepted=9, acknowledged=9, crashed=1, closed=True)
    second = Account(proxy_id="p", boot_id="2", sent_at=2, accepted=1, in_journal=1)
    await publish_accounts(redis, [first, second])
    await publish_accounts(redis, [closed])
    await publish_accounts(redis, [])
    assert sorted(await read_accounts(redis), key=lambda one: one.boot_id) == [closed, second]
    await forget(redis, [closed])
    await forget(redis, [])
    assert await read_accounts(redis) == [second]


async def test_what_is_no_account_is_skipped(redis: Redis) -> None:
    account = Account(proxy_id="p", boot_id="1", sent_at=1)
    await publish_accounts(redis, [account])
    await redis.hset(ACCOUNTS, mapping={"a": b"{", "b": b'{"proxy_id": 1}', "c": b"\xff"})
    assert await read_accounts(redis) == [account]

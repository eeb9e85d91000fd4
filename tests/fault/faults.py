"""What breaks. Each leaves behind what it broke, running again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis import Redis
from redis.exceptions import RedisError
from tests.fault.installation import kill, running_workers

from weir.events.stream import GROUP, REQUESTS

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.fault.installation import Installation, Service

LONGEST_ABSENCE: Final = 2.0
"""Seconds until what was killed is started again."""
LONGEST_HOLD: Final = 7.0
"""Seconds that a process is held still: longer than anybody waits for Redis."""


_TRIES: Final = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """`part` is what it breaks: one fault at a time does. `kills`: by SIGKILL or the like."""

    name: str
    part: str
    weight: int
    work: Callable[[Installation, random.Random], Awaitable[None]]
    kills: bool = True
    only: str | None = None
    """The store that has this part."""


async def kill_worker(installation: Installation, source: random.Random) -> None:
    kill_one = source.choice(await running_workers(installation))
    installation.remember_workers()
    installation.proxy_died()
    kill(kill_one)
    installation.proxy_died()


async def kill_parent(installation: Installation, source: random.Random) -> None:
    await installation.proxy_replaced()


async def cut_parent(installation: Installation, source: random.Random) -> None:
    await installation.proxy_replaced(kill=False)


async def kill_api(installation: Installation, source: random.Random) -> None:
    api = source.choice(installation.apis)
    api.kill()
    await _absence(source)
    await asyncio.to_thread(api.start)


async def kill_starting_api(installation: Installation, source: random.Random) -> None:
    api = source.choice(installation.apis)
    api.kill()
    await asyncio.to_thread(api.start_and_kill, source.uniform(0.3, 2.0))
    await asyncio.to_thread(api.start)


async def hold_api(installation: Installation, source: random.Random) -> None:
    await _hold(source.choice(installation.apis), source)


async def kill_redis(installation: Installation, source: random.Random) -> None:
    await asyncio.to_thread(installation.redis.kill9)
    await _absence(source)
    await asyncio.to_thread(installation.redis.start)


async def hold_redis(installation: Installation, source: random.Random) -> None:
    installation.redis.pause()
    await asyncio.sleep(source.uniform(0.1, LONGEST_HOLD))
    installation.redis.resume()


async def cut_redis_connections(installation: Installation, source: random.Random) -> None:
    def cut() -> None:
        with Redis.from_url(installation.redis.url, socket_timeout=5) as redis:
            redis.client_kill_filter(_type="normal", skipme=True)

    await asyncio.to_thread(cut)


async def destroy_group(installation: Installation, source: random.Random) -> None:
    def destroy() -> None:
        with Redis.from_url(installation.redis.url, socket_timeout=5) as redis:
            redis.xgroup_destroy(REQUESTS, GROUP)

    with contextlib.suppress(RedisError):  # there may be no stream yet
        await asyncio.to_thread(destroy)


async def flush_redis(installation: Installation, source: random.Random) -> None:
    """All of its data go: stream, group, accounts. It stays the same process."""

    def flush() -> bool:
        with Redis.from_url(installation.redis.url, socket_timeout=5) as redis:
            return bool(redis.flushall())

    for _ in range(_TRIES):
        with contextlib.suppress(RedisError):  # it is held still
            if await asyncio.to_thread(flush):
                return
        await asyncio.sleep(1.0)


async def crash_postgres(installation: Installation, source: random.Random) -> None:
    assert installation.postgres is not None
    await asyncio.to_thread(installation.postgres.crash)
    await _absence(source)
    await asyncio.to_thread(installation.postgres.start)


async def cut_postgres_connections(installation: Installation, source: random.Random) -> None:
    assert installation.postgres is not None
    await asyncio.to_thread(installation.postgres.cut_connections)


FAULTS: Final = (
    Fault("worker killed", "proxy", 14, kill_worker),
    Fault("parent killed", "proxy", 7, kill_parent),
    Fault("parent cut by a second SIGTERM", "proxy", 2, cut_parent),
    Fault("metrics API killed", "api", 16, kill_api),
    Fault("metrics API killed while it starts", "api", 5, kill_starting_api),
    Fault("metrics API held still", "api", 2, hold_api, kills=False),
    Fault("Redis killed", "redis", 12, kill_redis),
    Fault("Redis held still", "redis", 3, hold_redis, kills=False),
    Fault("connections to Redis cut", "redis", 4, cut_redis_connections, kills=False),
    Fault("consumer group destroyed", "redis", 3, destroy_group, kills=False),
    Fault("Redis emptied", "redis", 2, flush_redis, kills=False),
    Fault("PostgreSQL crashed", "postgres", 12, crash_postgres, only="postgres"),
    Fault(
        "connections to PostgreSQL cut", "postgres", 4, cut_postgres_connections, kills=False, only="postgres"
    ),
)


async def _absence(source: random.Random) -> None:
    await asyncio.sleep(source.uniform(0.0, LONGEST_ABSENCE))


async def _hold(service: Service, source: random.Random) -> None:
    service.process.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(source.uniform(0.1, LONGEST_HOLD))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(service.process.pid, signal.SIGCONT)

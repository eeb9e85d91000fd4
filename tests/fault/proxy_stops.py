"""The same for the proxy's parent, the only one of its processes that talks to Redis: killed at the Nth thing
that it says, while clients ask. Its workers finish what they have; the parent after it ships the rest.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self

from redis.asyncio import Redis
from tests.fault.balance import compare
from tests.fault.clients import KINDS, Clients
from tests.fault.ledger import Ledger
from tests.fault.nursery import Nursery
from tests.fault.stops import SETTLE_SECONDS, StopsReport, settled
from tests.fault.upstreams import Upstreams
from tests.support.gate import Gate, RedisDialect
from tests.support.processes import children
from tests.support.programs import lives
from tests.support.raw_http import fetch
from tests.support.redis_server import RedisServer, free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.fault.nursery import Victim
    from tests.support.gate import When

CLIENTS: Final = 8
_QUICK: Final = tuple(kind for kind in KINDS if kind.outcome != "timeout")
_AFTERWARDS: Final = 20
"""Requests to the parent that comes after the killed one."""


class ProxyStops:
    """A proxy on a metrics API with SQLite. Use as a context manager; one `stop` at a time."""

    def __init__(self, directory: Path, seed: str) -> None:
        self._directory = directory
        self._seed = seed
        self._ledger = Ledger()
        self._opened = AsyncExitStack()
        self.database = str(directory / "weir.db")

    async def __aenter__(self) -> Self:
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True)
        redis_server = RedisServer(directory / "redis")
        await asyncio.to_thread(redis_server.start)
        self._opened.callback(redis_server.stop)
        self._redis = Redis.from_url(redis_server.url)
        self._opened.push_async_callback(self._redis.aclose)
        upstreams = Upstreams(directory)
        self._opened.callback(upstreams.stop)
        self._nursery = await self._opened.enter_async_context(Nursery(directory))
        self._gate = await self._opened.enter_async_context(Gate(redis_server.port, RedisDialect))
        shared = {"WEIR_DATA_DIR": str(directory), "WEIR_LOG_FORMAT": "json"}
        self._env = {
            **shared,
            "REDIS_URL": f"redis://127.0.0.1:{self._gate.port}/0",
            "WEIR_PROXY_LISTEN": f"127.0.0.1:{free_port()}",
            "WEIR_PROXY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "WEIR_PROXY_WORKERS": "2",
            "WEIR_PROXY_ID": "stops",
            "WEIR_PROXY_DRAIN": "2s",
            "WEIR_CONFIG": str(upstreams.config),
        }
        api = {**shared, "REDIS_URL": redis_server.url, "WEIR_API_LISTEN": "127.0.0.1:0"}
        self._api = await self._nursery.bear("weir.metrics_api", api)
        await self._api.ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def stop(self, at: int, when: When) -> None:
        """Kill the parent there, start another, and wait until what was accepted is stored."""
        born: list[Victim] = []
        self._gate.arm(at, when, lambda: born[0].kill())  # noqa: PLW0108 - it is born below
        born.append(await self._nursery.bear("weir.proxy", self._env))
        (victim,) = born
        await asyncio.wait_for(victim.ready.wait(), SETTLE_SECONDS)
        if victim.announced is not None:
            workers = children(victim.pid)
            await self._ask(f"{self._seed}-{when}-{at}", victim, lambda: not victim.ended.is_set())
        else:
            workers = []
        self._gate.disarm()
        again = await self._begin_again()
        begun = self._ledger.sent
        await self._ask(
            f"{self._seed}-{when}-{at}-again", again, lambda: self._ledger.sent < begun + _AFTERWARDS
        )
        await eventually(
            lambda: self._shipped(again, workers), f"all is stored after {when} {at}", SETTLE_SECONDS
        )
        workers = children(again.pid)
        again.kill()
        await again.ended.wait()
        await eventually(lambda: _gone(workers), "its workers have ended", SETTLE_SECONDS)

    async def report(self, report: StopsReport) -> None:
        """The whole comparison, when nobody else has the database open."""
        self._api.kill()
        await self._api.ended.wait()
        report.balance = await compare(self._ledger, "sqlite", self.database)
        report.failures += self._ledger.complaints
        report.failures += report.balance.differences
        report.records = len(self._ledger.entries)

    async def _ask(self, seed: str, proxy: Victim, more: Callable[[], bool]) -> None:
        clients = Clients(
            self._ledger,
            lambda: proxy.url,
            lambda _since: True,
            seed=seed,
            clients=CLIENTS,
            more=more,
            kinds=_QUICK,
        )
        await clients.run()

    async def _begin_again(self) -> Victim:
        """The workers of the killed one may still have the port for a moment."""
        end = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end:
            proxy = await self._nursery.bear("weir.proxy", self._env)
            await proxy.ready.wait()
            if proxy.announced is not None:
                return proxy
        raise AssertionError("no other proxy starts")

    async def _shipped(self, proxy: Victim, orphans: list[int]) -> bool:
        if any(lives(pid) for pid in orphans):
            return False
        assert proxy.announced is not None
        answer = await fetch(proxy.announced["admin_url"], "GET", "/metrics")
        waiting = re.search(rb"^weir_proxy_journal_waiting_bytes (\S+)", answer.body, re.MULTILINE)
        return waiting is not None and float(waiting[1]) == 0 and await settled(self._redis)


async def run_proxy_stops(directory: Path, seed: str, wanted: Iterable[tuple[int, When]]) -> StopsReport:
    """One stop after the other, and the comparison at the end."""
    report = StopsReport("proxy", "sqlite")
    began = time.monotonic()
    async with ProxyStops(directory, seed) as proxy:
        for at, when in wanted:
            await proxy.stop(at, when)
            report.stopped_at(f"{when} {at}")
        await proxy.report(report)
    report.end(directory, began)
    return report


async def _gone(pids: list[int]) -> bool:
    return not any(lives(pid) for pid in pids)

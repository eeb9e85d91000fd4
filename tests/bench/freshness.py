"""How long after its last byte a request is a row, and a message to those who listen.

The real proxy with its demo model, the real metrics API, real Redis; everything bounded. Of a batch of more
than fifty records the live message tells the newest only: so what was not told is counted, never waited for.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from tests.bench.drain import redis_beside
from tests.support.metrics_api import MetricsApi
from tests.support.proxy import CHAT, completion, start_proxy

if TYPE_CHECKING:
    from pathlib import Path

LOOK_EVERY: Final = 10
"""Of so many requests one is looked up until it is a row."""
LOOK_SECONDS: Final = 0.01
SETTLE_SECONDS: Final = 3.0
"""What was not told so long after the last answer is counted as not told."""
PATIENCE: Final = 10.0
"""Seconds; a row that is not there by then is counted as missing."""


@dataclass
class Freshness:
    """Milliseconds from a request's last byte, as its client saw it."""

    asked: int = 0
    failed: int = 0
    rows: list[float] = field(default_factory=list[float])
    """To the row: of those that were looked up, seen by `GET /api/requests/{id}` every 10 ms."""
    missing: int = 0
    messages: list[float] = field(default_factory=list[float])
    """To the message of `GET /api/events`."""


def measured(folder: Path, settings: dict[str, str], per_second: int, seconds: int) -> Freshness:
    """So many requests per second for so long; half of them are streams."""
    with redis_beside(folder) as redis:
        proxy = start_proxy(redis.url, folder / "proxy", {"WEIR_DEMO": "1"})
        try:
            with MetricsApi(redis.url, folder / "data", settings) as api:
                return asyncio.run(_Trial(proxy.url, api.url).run(per_second, seconds))
        finally:
            proxy.stop()


def shares(values: list[float]) -> tuple[float, float, float]:
    """p50, p95 and the longest; no numbers where there is nothing."""
    ordered = sorted(values) or [math.nan]
    return ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100], ordered[-1]


class _Trial:
    def __init__(self, proxy: str, api: str) -> None:
        self._proxy = proxy
        self._api = api
        self._found = Freshness()
        self._answered: dict[str, float] = {}
        self._told: dict[str, float] = {}

    async def run(self, per_second: int, seconds: int) -> Freshness:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as client:
            ready = asyncio.Event()
            listening = asyncio.create_task(self._listen(client, ready, seconds + 3 * PATIENCE))
            async with asyncio.timeout(PATIENCE):
                await ready.wait()
            start = time.perf_counter()
            async with asyncio.TaskGroup() as requests:
                for number in range(per_second * seconds):
                    await asyncio.sleep(start + number / per_second - time.perf_counter())
                    requests.create_task(self._ask(client, number))
            await asyncio.sleep(SETTLE_SECONDS)
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
        found = self._found
        found.messages = [
            1000 * (self._told[key] - at) for key, at in self._answered.items() if key in self._told
        ]
        return found

    async def _ask(self, client: aiohttp.ClientSession, number: int) -> None:
        self._found.asked += 1
        body = completion("demo", stream=number % 2 == 0, max_tokens=4)
        try:
            async with client.post(self._proxy + CHAT, json=body) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self._found.failed += 1
            return
        done = time.perf_counter()
        identifier = answer.headers["x-weir-request-id"]
        self._answered[identifier] = done
        if number % LOOK_EVERY == 0:
            await self._look(client, identifier, done)

    async def _look(self, client: aiohttp.ClientSession, identifier: str, done: float) -> None:
        with suppress(aiohttp.ClientError, TimeoutError):
            while time.perf_counter() - done < PATIENCE:
                async with client.get(f"{self._api}/api/requests/{identifier}") as answer:
                    await answer.read()
                if answer.status == 200:
                    self._found.rows.append(1000 * (time.perf_counter() - done))
                    return
                await asyncio.sleep(LOOK_SECONDS)
        self._found.missing += 1

    async def _listen(self, client: aiohttp.ClientSession, ready: asyncio.Event, seconds: float) -> None:
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=PATIENCE)
        async with client.get(self._api + "/api/events?topics=requests", timeout=limits) as answer:
            ready.set()
            async for line in answer.content:
                if line.startswith(b"data: "):
                    now = time.perf_counter()
                    message: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                    if message.get("type") == "requests":
                        for row in message["data"]:
                            self._told.setdefault(row["request_id"], now)

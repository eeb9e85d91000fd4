"""The clients of the profile `demo`: they keep the dashboard busy, and leave when told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio import Redis
from tests.support.images import CHECKOUT
from tests.support.processes import start
from tests.support.proxy import start_proxy
from tests.support.records import Records
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.redis_server import RedisServer


async def test_made_up_clients_keep_asking(redis_server: RedisServer, tmp_path: Path) -> None:
    proxy = start_proxy(redis_server.url, tmp_path / "data", {"WEIR_DEMO": "1"})
    script = CHECKOUT / "deploy/docker/demo_traffic.py"
    clients = start(["python", "-I", str(script), proxy.url], {}, announces=False)
    async with Redis.from_url(redis_server.url) as redis:
        records = Records(redis)

        async def enough() -> bool:
            await records.read(wait=0.1)
            return len(records.events) >= 4

        await eventually(enough, "some requests of the demo clients", deadline=30)
    assert {event.outcome for event in records.events} == {"completed"}
    assert all(event.user and event.project for event in records.events)
    assert clients.stop() == 0
    proxy.kill9()

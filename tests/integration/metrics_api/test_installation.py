"""`/api/setup` and `/api/system`: what the dashboard's pages about Weir itself are told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis as AsyncRedis
from tests.support.builders import make_event
from tests.support.processes import until

from weir.events import Outcome
from weir.events.heartbeat import Heartbeat, VariantLoad, publish
from weir.events.stream import DEAD, FIELD, REQUESTS

if TYPE_CHECKING:
    from tests.support.metrics_api import MetricsApi
    from tests.support.redis_server import RedisServer


def beat(url: str, proxy_id: str, **fields: Any) -> None:
    now = time.time_ns() // 1000
    heartbeat = Heartbeat(
        proxy_id=proxy_id, boot_id="b", version="1.2.3", started_at=now - 60_000_000, sent_at=now, workers=2,
        max_in_flight=100,
        variants={"production": VariantLoad(in_flight=3), "canary": VariantLoad(in_flight=1)},
        accepted=10, journaled=6, acknowledged=5, dropped=0, **fields,
    )  # fmt: skip

    async def send() -> None:
        async with AsyncRedis.from_url(url) as redis:
            await publish(redis, heartbeat)

    asyncio.run(send())


def test_without_proxies_and_requests(api: MetricsApi) -> None:
    assert api.json("/api/setup") == {
        "base_url": None, "port": None, "proxies": 0, "demo": False, "model": None, "clients_required": False,
    }  # fmt: skip
    until(lambda: api.json("/api/system")["stream"]["consumers"] == 1, "the API reads the stream")
    found = api.json("/api/system")
    assert found["proxies"] == []
    assert found["stream"] == {
        "entries": 0, "unread": 0, "pending": 0, "lag_seconds": 0.0, "consumers": 1, "dead_letters": 0,
    }  # fmt: skip
    assert found["storage"]["requests"] == 0
    assert found["storage"]["oldest_request_at"] is None
    assert found["storage"]["bytes"] > 0


def test_the_address_that_most_proxies_say(api: MetricsApi, redis_server: RedisServer) -> None:
    for name in ("a", "b"):
        beat(redis_server.url, name, public_url="https://llm.example.org", public_port=8001, demo=True)
    beat(redis_server.url, "c", public_url=None, public_port=8001, clients_required=True)
    assert api.json("/api/setup") == {
        "base_url": "https://llm.example.org/v1", "port": 8001, "proxies": 3, "demo": True, "model": "demo",
        "clients_required": True,
    }  # fmt: skip


def test_the_model_that_worked_last(api: MetricsApi) -> None:
    api.send(
        [
            make_event(started_at=None, model="llama3-8b", model_requested="llama3"),
            make_event(started_at=None, model=None, outcome=Outcome.REJECTED),
        ]
    )
    api.wait_for(2)
    assert api.json("/api/setup")["model"] == "llama3"


def test_the_system_page_adds_up(api: MetricsApi, redis_server: RedisServer) -> None:
    events = [make_event(started_at=None) for _ in range(5)]
    beat(redis_server.url, "a", public_url="http://127.0.0.1:8001", public_port=8001)
    api.send(events)
    api.redis.xadd(REQUESTS, {FIELD: b"not a record"})
    api.wait_for(5)
    until(lambda: api.redis.xlen(DEAD), "the bad entry is put aside")
    found = api.json("/api/system")
    (proxy,) = found["proxies"]
    assert (proxy["in_flight"], proxy["max_in_flight"], proxy["workers"]) == (4, 100, 2)
    assert (proxy["accepted"], proxy["journaled"], proxy["acknowledged"], proxy["dropped"]) == (10, 6, 5, 0)
    assert found["stream"]["dead_letters"] == 1
    assert (found["stream"]["unread"], found["stream"]["pending"]) == (0, 0)
    assert found["stream"]["lag_seconds"] == 0
    assert found["storage"]["requests"] == 5
    assert found["storage"]["oldest_request_at"] == min(one.started_at for one in events) // 1000


def test_what_is_away_is_null_with_its_reason(api: MetricsApi, redis_server: RedisServer) -> None:
    redis_server.kill9()
    found = api.json("/api/system")
    assert found["proxies"] is None
    assert found["stream"] is None
    assert found["stream_error"]
    assert found["storage"]["kind"] == "sqlite"
    assert api.json("/api/setup")["base_url"] is None

"""A proxy and metrics APIs on a Redis that hangs, is slow, refuses or fails: rows are what clients got."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
import httpx
import pytest
from redis import Redis
from tests.soak.measuring import MB, look
from tests.support.builders import make_event
from tests.support.metrics_api import MetricsApi
from tests.support.processes import until
from tests.support.proxy import CHAT, completion, start_proxy
from tests.support.redis_server import RedisServer, free_port
from tests.support.redis_topologies import Cluster
from tests.support.slow_wire import SlowWire

from weir.events.stream import GROUP, REQUESTS, request_streams

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from tests.support.processes import Process

PATIENCE: Final = 60.0
"""Seconds that a recovery may take on a busy machine."""
ROOM_MB: Final = 40.0
"""What a process may take more while Redis is away; thousands of records would need more."""
SHARDS: Final = 4


@pytest.fixture
def proxy(redis_server: RedisServer, tmp_path: Path) -> Iterator[Process]:
    process = start_proxy(redis_server.url, tmp_path / "proxy", {"WEIR_DEMO": "1"})
    yield process
    assert process.stop() == 0, process.stderr


@pytest.fixture
def impatient(redis_server: RedisServer, tmp_path: Path) -> Iterator[MetricsApi]:
    """One that gives up on Redis within a second, so that a short silence crosses every limit."""
    with MetricsApi(redis_server.url, tmp_path / "data", impatient=True) as api:
        yield api


def served(proxy: Process, count: int) -> set[str]:
    """Requests that all went well for their clients; their ids are the ledger."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        answers = [
            client.post(proxy.url + CHAT, json=completion("demo", f"m{number}", stream=number % 3 == 0))
            for number in range(count)
        ]
    assert {answer.status_code for answer in answers} == {200}
    return {answer.headers["x-weir-request-id"] for answer in answers}


def rows(api: MetricsApi) -> list[str]:
    return [row["request_id"] for row in api.all_requests()]


def balanced(api: MetricsApi, ledger: set[str]) -> None:
    """Each request of the ledger is one row, there is no other, and the pipeline says the same."""
    until(lambda: ledger <= set(rows(api)), f"{len(ledger)} requests are stored", PATIENCE)
    assert sorted(rows(api)) == sorted(ledger)
    assert api.json("/api/summary", range="6h")["total"]["requests"] == len(ledger)

    def accounted() -> bool:
        total = api.json("/api/pipeline")["total"]
        return (total["accepted"], total["stored"], total["unaccounted"]) == (len(ledger), len(ledger), 0)

    until(accounted, "all are accounted for", PATIENCE)


def is_said(api: MetricsApi, status: str, detail: str = "") -> bool:
    """Whether /readyz says this of Redis, still serving."""
    answer = api.get("/readyz")
    said = answer.json()
    return (answer.status_code, said["status"]) == (200, status) and detail in said["checks"]["redis"][
        "detail"
    ]


def held(api: MetricsApi) -> float:
    sample = look(0, "api", api.process.pid)
    assert sample is not None
    return sample.rss / MB


def test_a_redis_that_is_held_still(impatient: MetricsApi, proxy: Process, redis_server: RedisServer) -> None:
    api = impatient
    ledger = served(proxy, 10)
    balanced(api, ledger)
    before = held(api)
    redis_server.pause()
    ledger |= served(proxy, 20)
    until(lambda: is_said(api, "degraded"), "readyz says degraded", PATIENCE)
    assert len(rows(api)) == 10, "questions are answered meanwhile"
    # it stays away for several of the limits in a row
    until(lambda: _failures(api) >= 4, "it has tried again and again", PATIENCE)
    assert is_said(api, "degraded")
    ledger |= served(proxy, 10)
    redis_server.resume()
    balanced(api, ledger)
    until(lambda: is_said(api, "ok", "connected"), "readyz is ok by itself", PATIENCE)
    assert api.process.stderr.count("Redis is away") == 1, "one line, not one for each attempt"
    assert held(api) - before < ROOM_MB


def _failures(api: MetricsApi) -> float:
    lines = api.get("/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith("weir_ingest_failures_total")
    )


def test_a_redis_that_takes_half_a_second_for_every_answer(redis_server: RedisServer, tmp_path: Path) -> None:
    """Slow is not away: nothing is given up, nothing is said to be degraded, and all of it arrives."""
    with SlowWire(redis_server.port, delay=0.0) as wire:
        url = f"redis://127.0.0.1:{wire.port}/0"
        proxy = start_proxy(url, tmp_path / "proxy", {"WEIR_DEMO": "1"})
        with MetricsApi(url, tmp_path / "data") as api:
            ledger = served(proxy, 5)
            balanced(api, ledger)
            wire.delay = 0.5
            ledger |= served(proxy, 40)
            until(lambda: ledger <= set(rows(api)), "all are stored, if slowly", PATIENCE)
            assert is_said(api, "ok")
            assert "Redis is away" not in api.process.stderr + proxy.stderr
            wire.delay = 0.0
            balanced(api, ledger)
        assert proxy.stop() == 0, proxy.stderr


def test_a_redis_that_refuses_the_password_at_the_start(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis", ["--requirepass", "right-one"])
    redis.start()
    url = f"redis://:wrong-one@127.0.0.1:{redis.port}/0"
    proxy = start_proxy(url, tmp_path / "proxy", {"WEIR_DEMO": "1"})
    with MetricsApi(url, tmp_path / "data") as api:
        until(lambda: is_said(api, "degraded", "password"), "readyz says why", PATIENCE)
        assert rows(api) == []
        ledger = served(proxy, 20)
        with Redis(port=redis.port, password="right-one") as admin:
            admin.config_set("requirepass", "wrong-one")
        balanced(api, ledger)
        until(lambda: is_said(api, "ok"), "readyz is ok by itself", PATIENCE)
        for process in (api.process, proxy):
            assert "wrong-one" not in process.stderr
    assert proxy.stop() == 0, proxy.stderr
    redis.stop()


def test_a_redis_that_begins_to_refuse_while_it_is_used(
    api: MetricsApi, proxy: Process, redis_server: RedisServer
) -> None:
    ledger = served(proxy, 10)
    balanced(api, ledger)
    with Redis(port=redis_server.port) as admin:
        admin.config_set("requirepass", "new-one")
        admin.auth("new-one")
        admin.client_kill_filter(_type="normal", skipme=True)
        until(lambda: is_said(api, "degraded", "uthentication"), "readyz says why", PATIENCE)
        ledger |= served(proxy, 20)
        assert len(rows(api)) == 10
        admin.config_set("requirepass", "")
        balanced(api, ledger)
    until(lambda: is_said(api, "ok"), "readyz is ok by itself", PATIENCE)
    assert api.process.stderr.count("Redis is away") == 1


def test_proxy_and_api_on_a_cluster_that_loses_a_node_for_a_while(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster")
    cluster.start()
    settings = {"WEIR_STREAM_SHARDS": str(SHARDS)}
    proxy = start_proxy(cluster.url, tmp_path / "proxy", {"WEIR_DEMO": "1", **settings})
    with MetricsApi(cluster.url, tmp_path / "data", settings) as api:
        ledger = served(proxy, 40)
        balanced(api, ledger)
        assert len({_node_of(cluster, stream) for stream in request_streams(SHARDS)}) > 1, (
            "over several nodes"
        )
        lost = cluster.nodes[_node_of(cluster, request_streams(SHARDS)[0])]
        lost.kill9()
        ledger |= served(proxy, 40)
        until(lambda: is_said(api, "degraded"), "readyz says degraded", PATIENCE)
        lost.start()
        ledger |= served(proxy, 10)
        balanced(api, ledger)
        until(lambda: is_said(api, "ok"), "readyz is ok by itself", PATIENCE)
    assert proxy.stop() == 0, proxy.stderr
    cluster.stop()


def _node_of(cluster: Cluster, key: str) -> int:
    slot: int = cluster.tell(cluster.nodes[0], "CLUSTER", "KEYSLOT", key)
    return slot // (16384 // len(cluster.nodes) + 1)


def test_of_two_apis_one_takes_over_what_the_other_held_when_it_was_killed(
    redis_server: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    """Both have read entries that they cannot store yet; one of them dies with its own."""
    one, two = (
        MetricsApi(
            redis_server.url,
            tmp_path / name,
            {"WEIR_DATABASE_URL": postgres_url, "WEIR_API_LISTEN": f"127.0.0.1:{free_port()}"},
            impatient=True,
        )
        for name in ("one", "two")
    )
    events = [make_event(started_at=None) for _ in range(600)]
    with two:
        one.start()
        two.send(events[:1])
        two.wait_for(1)
        with _nothing_is_stored(postgres_url):
            for start in range(1, 600, 20):
                two.send(events[start : start + 20])
            pending = until(lambda: _both_hold(two.redis), "both hold entries", PATIENCE)
            one.process.kill9()
            one.close()
        found = two.wait_for(600)
    assert sorted(row["request_id"] for row in found) == sorted(event.request_id for event in events)
    assert sum(pending.values()) <= 599
    assert "taking over entries of another consumer" in two.process.stderr


@contextmanager
def _nothing_is_stored(url: str) -> Generator[None]:
    """Meanwhile a lock keeps everybody from adding rows; they can be read."""
    with asyncio.Runner() as runner:
        connection = runner.run(cast("Any", asyncpg.connect)(url))
        runner.run(connection.execute("begin"))
        runner.run(connection.execute("lock table completion_requests in exclusive mode"))
        try:
            yield
        finally:
            runner.run(connection.execute("rollback"))
            runner.run(connection.close())


def _both_hold(redis: Redis) -> dict[bytes, int]:
    """How many entries each of two consumers has and has not acknowledged; nothing while one has none."""
    consumers: Any = redis.xinfo_consumers(REQUESTS, GROUP)
    holding = {each["name"]: each["pending"] for each in consumers if each["pending"]}
    return holding if len(holding) > 1 else {}

"""Two metrics APIs, one PostgreSQL, one consumer group: each record becomes one row, whatever dies."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.metrics_api import MetricsApi
from tests.support.postgres_server import PostgresServer
from tests.support.processes import NotReadyError, until
from tests.support.redis_server import RedisServer, free_port
from tests.support.traffic import event as plausible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weir.events import RequestEvent


def recent(count: int) -> list[RequestEvent]:
    """Of the last hour, of many models and outcomes."""
    source = random.Random(11)  # noqa: S311 - made-up traffic
    now = time.time_ns() // 1000
    return [plausible(now - i * 3_600_000_000 // count, source) for i in range(count)]


def replica(redis: RedisServer, folder: Path, url: str) -> MetricsApi:
    settings = {"WEIR_DATABASE_URL": url, "WEIR_API_LISTEN": f"127.0.0.1:{free_port()}"}
    return MetricsApi(redis.url, folder, settings)


@pytest.fixture
def replicas(
    redis_server: RedisServer, tmp_path: Path, postgres_url: str
) -> Iterator[tuple[MetricsApi, MetricsApi]]:
    one, other = (replica(redis_server, tmp_path / name, postgres_url) for name in ("one", "other"))
    # together: only one of them may make the schema
    with ThreadPoolExecutor() as threads:
        list(threads.map(MetricsApi.start, (one, other)))
    yield one, other
    for api in (one, other):
        api.__exit__(None, None, None)


def check_sums(api: MetricsApi, events: list[RequestEvent]) -> None:
    """Rows, each roll-up level and the running totals tell of the same requests."""
    rows = api.wait_for(len(events))
    assert {row["request_id"] for row in rows} == {event.request_id for event in events}
    tokens = sum(event.prompt_tokens or 0 for event in events)
    for step in (60_000, 3_600_000):
        series = api.json("/api/series", metrics="requests,tokens_input", range="6h", step=step)["series"]
        assert sum(series["requests"]["all"]) == len(events), step
        assert sum(value or 0 for value in series["tokens_input"]["all"]) == tokens, step
    for range_ in ("6h", "30d"):
        assert api.json("/api/summary", range=range_)["total"]["requests"] == len(events), range_
    answered = sum(event.status_code is not None for event in events)
    newest: dict[str, dict[str, Any]] = {row["variant"]: row for row in api.json("/api/metrics", range="6h")}
    counted = ("requests_2xx", "requests_4xx", "requests_5xx")
    assert sum(row[name] for row in newest.values() for name in counted) == answered
    assert sum(row["tokens_input"] for row in newest.values()) == tokens


def test_two_replicas_share_the_work_and_a_kill_9_loses_and_doubles_nothing(
    replicas: tuple[MetricsApi, MetricsApi],
) -> None:
    events = recent(12_000)
    source = random.Random(5)  # noqa: S311 - moments to kill at
    for turn in range(6):
        replicas[0].send(events[turn * 2000 : turn * 2000 + 2000])
        time.sleep(source.uniform(0.0, 0.08))
        victim = replicas[turn % 2]
        victim.process.kill9()
        victim.start()
    check_sums(replicas[0], events)
    check_sums(replicas[1], events)


def test_both_take_part_and_each_shows_what_the_other_stored(replicas: tuple[MetricsApi, MetricsApi]) -> None:
    events = recent(20_000)
    replicas[0].send(events)
    check_sums(replicas[1], events)
    stored = [
        float(line.split()[1])
        for api in replicas
        for line in api.get("/metrics").text.splitlines()
        if line.startswith("weir_ingest_stored_total")
    ]
    assert sum(stored) == len(events)
    assert all(stored), "both took part"


def test_the_same_entries_to_both_at_once_are_one_row_each(replicas: tuple[MetricsApi, MetricsApi]) -> None:
    events = recent(1500)
    source = random.Random(6)  # noqa: S311 - an order
    copies = events * 6
    source.shuffle(copies)
    replicas[0].send(copies)
    check_sums(replicas[0], events)


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_postgresql_goes_and_comes_back(redis_server: RedisServer, tmp_path: Path, how: str) -> None:
    """Records wait in the stream, /readyz says so, and nothing is lost or doubled."""
    server = PostgresServer()
    server.start()
    try:
        with replica(redis_server, tmp_path / "data", server.database()) as api:
            events = recent(3000)
            api.send(events[:1000])
            api.wait_for(1000)
            getattr(server, how)()
            api.send(events[1000:])
            until(lambda: api.get("/readyz").status_code == 503, "it says that the database is away")
            answer = api.get("/api/summary")
            assert answer.status_code == 503
            assert answer.json()["code"] == "unavailable"
            assert api.get("/healthz").status_code == 200
            server.start()
            until(lambda: api.get("/readyz").status_code == 200, "it has found the database again", 30)
            until(api.settled, "everything is stored", 30)
            check_sums(api, events)
    finally:
        server.close()


def test_an_api_waits_for_a_database_that_is_just_starting(redis_server: RedisServer, tmp_path: Path) -> None:
    server = PostgresServer()
    server.start()
    url = server.database()
    server.stop()
    try:
        api = replica(redis_server, tmp_path / "data", url)
        with ThreadPoolExecutor() as threads:
            started = threads.submit(api.start)
            server.start()
            started.result()
        assert api.get("/readyz").status_code == 200
        api.__exit__(None, None, None)
    finally:
        server.close()


def test_a_database_that_is_not_there_is_named(
    redis_server: RedisServer, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with pytest.raises(NotReadyError, match=r'database "missing" does not exist.*WEIR_DATABASE_URL'):
        replica(redis_server, tmp_path / "data", postgres_server.url("missing")).start()

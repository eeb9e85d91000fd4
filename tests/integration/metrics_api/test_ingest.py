"""Real processes, a real Redis: every record becomes exactly one row, whatever dies."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from tests.support.builders import make_event, make_request_id
from tests.support.metrics_api import MetricsApi
from tests.support.processes import until

from weir.events import encode
from weir.events.stream import DEAD, FIELD, GROUP, LIVE, REQUESTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.redis_server import RedisServer

    from weir.events import RequestEvent


def now_us() -> int:
    return time.time_ns() // 1000


def recent(count: int) -> list[RequestEvent]:
    """Of the last two hours, so that every range and bucket is met."""
    return [make_event(started_at=now_us() - i * 7_000_000_000 // count) for i in range(count)]


def with_usage(value: bytes) -> bytes:
    """A record with one more, odd value in its usage object."""
    return encode(make_event(usage_raw=None))[:-1] + b',"usage_raw":{"odd":' + value + b"}}"


def total(api: MetricsApi, **parameters: Any) -> dict[str, Any]:
    return api.json("/api/summary", **{"range": "6h", **parameters})["total"]


def check_sums(api: MetricsApi, events: list[RequestEvent]) -> None:
    """Rows, each roll-up level and the running totals tell of the same requests."""
    rows = api.wait_for(len(events))
    assert {row["request_id"] for row in rows} == {event.request_id for event in events}
    assert total(api)["requests"] == len(events)
    assert total(api)["tokens_input"] == sum(event.prompt_tokens or 0 for event in events)
    for step in (60_000, 3_600_000):
        series = api.json("/api/series", metrics="requests", range="6h", step=step)["series"]["requests"]
        assert sum(series["all"]) == len(events), step
    last = api.json("/api/metrics", range="6h")[-1]
    assert last["requests_2xx"] == len(events)


def test_a_request_is_visible_by_itself(api: MetricsApi) -> None:
    event = make_event(started_at=None)
    api.send([event])
    until(lambda: api.get(f"/api/requests/{event.request_id}").status_code == 200, "the request is there")
    assert total(api)["requests"] == 1


def test_records_sent_before_the_first_start_are_read(redis_server: RedisServer, tmp_path: Path) -> None:
    events = recent(2500)
    api = MetricsApi(redis_server.url, tmp_path / "data")
    api.send(events)
    with api:
        check_sums(api, events)


def test_kill_9_at_any_moment_loses_and_doubles_nothing(api: MetricsApi) -> None:
    events = recent(6000)
    source = random.Random(3)  # noqa: S311 - moments to kill at
    sent = 0
    for _ in range(6):
        api.send(events[sent : sent + 1000])
        sent += 1000
        time.sleep(source.uniform(0.0, 0.06))
        api.process.kill9()
        api.start()
    check_sums(api, events)


def test_entries_delivered_and_not_acknowledged_are_finished_after_a_restart(
    api: MetricsApi, redis_server: RedisServer
) -> None:
    """As a crash between commit and acknowledgement leaves it: stored, still pending."""
    events = recent(20)
    api.send(events)
    api.wait_for(20)
    api.process.kill9()
    redis = Redis.from_url(redis_server.url)
    (consumer,) = (row["name"] for row in redis.xinfo_consumers(REQUESTS, GROUP))
    more = recent(5)
    for event in [*events, *more]:
        redis.xadd(REQUESTS, {FIELD: encode(event)})
    delivered: Any = redis.xreadgroup(GROUP, consumer, {REQUESTS: ">"}, count=100)
    assert len(delivered[0][1]) == 25
    redis.close()
    api.start()
    check_sums(api, [*events, *more])


def test_the_same_entries_ten_times_in_any_order_are_one_row_each(api: MetricsApi) -> None:
    events = recent(100)
    source = random.Random(5)  # noqa: S311 - an order
    copies = events * 10
    source.shuffle(copies)
    api.send(copies)
    check_sums(api, events)


def test_what_cannot_be_read_is_put_aside_with_its_reason_and_the_rest_flows(api: MetricsApi) -> None:
    good = recent(10)
    bad: list[tuple[bytes, str]] = [
        (b"", "truncated"),
        (b"not json", "malformed"),
        (b"\xff\xfe\x00binary", "malformed"),
        (b"[1,2,3]", "Expected `object`"),
        (b'{"request_id":"x"}', "missing required field"),
        (encode(make_event()).replace(b'"proxy_id":"proxy-1"', b'"proxy_id":7'), "proxy_id"),
        (encode(make_event())[:-1] + b',"schema_version":99}', "schema_version 99"),
        (encode(make_event(request_id="nonsense")), "not a UUID"),
        (encode(make_event(started_at=-5, request_id=make_request_id())), "$.started_at"),
        (encode(make_event(prompt_tokens=10**30)), "$.prompt_tokens"),
        (encode(make_event(duration_ms=-1.0)), "$.duration_ms"),
        (encode(make_event(error_message="x" * 300_000)), "at most 262144"),
        (with_usage(b"[" * 20_000 + b"]" * 20_000), "nested too deeply"),
        (with_usage(b"1e999"), "out of range"),
        (encode(make_event())[:-1] + b',"finish_reason":"\\udc00"}', "surrogate"),
    ]
    for event, (data, _) in zip(good, bad, strict=False):
        api.redis.xadd(REQUESTS, {FIELD: data})
        api.redis.xadd(REQUESTS, {FIELD: encode(event)})
    for data, _ in bad[len(good) :]:
        api.redis.xadd(REQUESTS, {FIELD: data})
    api.redis.xadd(REQUESTS, {"other": b"field"})
    api.wait_for(10)
    letters = until(lambda: len(api.dead_letters()) == len(bad) + 1 and api.dead_letters(), "dead letters")
    for letter, (data, reason) in zip(letters, bad, strict=False):
        assert reason in letter["reason"].decode(), letter["reason"]
        assert letter["e"] == data[:262144]
        assert b"-" in letter["id"]
    assert letters[-1]["reason"] == b"the entry has no field e"
    assert api.settled()
    assert "weir_ingest_dead_letters_total 16.0" in api.get("/metrics").text


def test_odd_but_valid_values_come_back_as_they_were(api: MetricsApi) -> None:
    event = make_event(
        started_at=None, user="a\x00\u202e'\"<b>", usage_raw={"big": 10**30, "\U0001f600": None}
    )
    api.send([event])
    (row,) = api.wait_for(1)
    assert row["user"] == event.user
    assert '"big":1000000000000000000000000000000' in api.get(f"/api/requests/{event.request_id}").text
    assert api.json("/api/summary", user=event.user)["total"]["requests"] == 1


def test_redis_may_go_and_come_back(api: MetricsApi, redis_server: RedisServer) -> None:
    first = recent(50)
    api.send(first)
    api.wait_for(50)
    redis_server.kill9()
    until(lambda: api.json("/readyz")["status"] == "degraded", "readyz says degraded")
    assert len(api.all_requests()) == 50, "questions are answered all the same"
    redis_server.start()
    more = recent(50)
    api.send(more)
    check_sums(api, first + more)
    until(lambda: api.json("/readyz")["status"] == "ok", "readyz is ok again")
    assert api.process.stderr.count("Redis is away") == 1, "one line, not one per attempt"


def test_redis_may_be_missing_at_the_start(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.stop()
    with MetricsApi(redis_server.url, tmp_path / "data") as api:
        assert api.json("/readyz")["status"] == "degraded"
        assert api.json("/healthz") == {"status": "ok"}
        redis_server.start()
        api.send(recent(5))
        api.wait_for(5)


@pytest.mark.parametrize("loss", ["FLUSHALL", "XGROUP DESTROY"])
def test_a_lost_group_is_made_again(api: MetricsApi, loss: str) -> None:
    first = recent(5)
    api.send(first)
    api.wait_for(5)
    if loss == "FLUSHALL":
        api.redis.flushall()
    else:
        api.redis.xgroup_destroy(REQUESTS, GROUP)
    more = recent(5)
    api.send(more)
    until(lambda: len(api.all_requests()) == 10, "all ten are stored")
    check_sums(api, first + more)


def test_a_database_locked_by_another_is_waited_for(api: MetricsApi) -> None:
    other = sqlite3.connect(api.data / "weir.db", isolation_level=None)
    other.execute("begin immediate")
    events = recent(30)
    api.send(events)
    until(lambda: api.get("/readyz").status_code == 503, "readyz says that nothing can be stored", 30)
    assert "locked" in api.get("/readyz").json()["checks"]["database"]["detail"]
    assert not api.settled(), "nothing is acknowledged that is not stored"
    other.execute("rollback")
    other.close()
    check_sums(api, events)


def test_what_is_acknowledged_leaves_the_stream(api: MetricsApi) -> None:
    api.send(recent(500))
    api.wait_for(500)
    until(lambda: api.redis.xlen(REQUESTS) == 0, "the stream is trimmed", 30)
    more = recent(3)
    api.send(more)
    api.wait_for(503)


def test_every_commit_is_published(api: MetricsApi) -> None:
    events = recent(120)
    for start in range(0, 120, 30):
        api.send(events[start : start + 30])
        api.wait_for(start + 30)
    entries: Any = api.redis.xrange(LIVE)
    published = b"".join(fields[FIELD.encode()] for _, fields in entries)
    assert all(event.request_id.encode() in published for event in events)
    assert api.redis.exists(DEAD) == 0

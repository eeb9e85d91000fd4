"""Server-sent events of the real process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.builders import make_event
from tests.support.metrics_api import MetricsApi
from tests.support.processes import until

from weir.events.stream import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.redis_server import RedisServer

    from weir.events import RequestEvent


def fresh(count: int, **overrides: object) -> list[RequestEvent]:
    return [make_event(started_at=None, **overrides) for _ in range(count)]


def test_the_stream_begins_with_what_it_is(api: MetricsApi) -> None:
    with api.listen() as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-cache, no-transform"
        assert stream.response.headers["x-accel-buffering"] == "no"
        hello = stream.next("connected")
    assert hello == {"type": "connected", "scrape_interval": 5, "variants": ["production"]}
    assert stream.lines[0] == "retry: 2000"


def test_a_finished_request_is_heard_of(api: MetricsApi) -> None:
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        for event in fresh(5):
            api.send([event])
            assert stream.requests(1) == [event.request_id]


def test_a_live_request_is_the_stored_one(api: MetricsApi) -> None:
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        (event,) = fresh(1)
        api.send([event])
        (row,) = stream.next("requests")["data"]
    stored = api.json(f"/api/requests/{event.request_id}")
    assert row == {name: value for name, value in stored.items() if name not in {"usage_raw", "attempts"}}


def test_metrics_come_every_five_seconds_for_every_variant(api: MetricsApi) -> None:
    api.send([*fresh(3), *fresh(2, variant="canary")])
    with api.listen() as stream:
        stream.next("connected")
        snapshots = [stream.next("metrics")["data"] for _ in range(4)]
    assert {snapshot["variant"] for snapshot in snapshots} == {"production", "canary"}
    assert len({snapshot["timestamp"] for snapshot in snapshots}) == 2
    assert {s["variant"]: s["requests_2xx"] for s in snapshots[2:]} == {"production": 3, "canary": 2}
    stored = {(s["timestamp"], s["variant"]): s for s in api.json("/api/metrics", range="5m")}
    for snapshot in snapshots:
        if (snapshot["timestamp"], snapshot["variant"]) in stored:
            assert stored[snapshot["timestamp"], snapshot["variant"]] == snapshot


def test_a_filter_holds_back_other_requests(api: MetricsApi) -> None:
    wanted, others = fresh(3, model="a", user="ada"), fresh(3, model="b", user="ada")
    with api.listen(topics="requests", model="a", status="2xx") as stream:
        stream.next("connected")
        api.send([event for pair in zip(others, wanted, strict=True) for event in pair])
        assert set(stream.requests(3)) == {event.request_id for event in wanted}


def test_a_client_that_comes_back_has_missed_nothing(api: MetricsApi) -> None:
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        first = fresh(3)
        api.send(first)
        assert set(stream.requests(3)) == {event.request_id for event in first}
        seen = stream.last_id
    missed = fresh(60)
    for start in range(0, 60, 20):
        api.send(missed[start : start + 20])
        api.wait_for(3 + start + 20)
    with api.listen(topics="requests", last_event_id=seen) as stream:
        live = fresh(2)
        api.send(live)
        found = stream.requests(62)
    assert found == [event.request_id for event in [*missed, *live]], "in order, without hole or repetition"
    assert not any('"type":"gap"' in line for line in stream.lines)


def test_a_client_that_got_only_the_greeting_can_resume_from_it(api: MetricsApi) -> None:
    api.send(fresh(1))
    api.wait_for(1)
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        seen = stream.last_id
    (event,) = fresh(1)
    api.send([event])
    api.wait_for(2)
    with api.listen(topics="requests", last_event_id=seen) as stream:
        assert stream.requests(1) == [event.request_id]


def test_a_client_that_was_away_too_long_is_told_of_the_gap(api: MetricsApi) -> None:
    api.send(fresh(1))
    api.wait_for(1)
    with api.listen(topics="requests", last_event_id="1000-0") as stream:
        stream.next("connected")
        assert stream.next("gap") == {"type": "gap", "data": {"missed_from": 1000}}
    with api.listen(topics="requests", last_event_id="99999999999999-0") as stream:
        stream.next("gap")
        (event,) = fresh(1)
        api.send([event])
        assert stream.requests(1) == [event.request_id], "after a gap the stream goes on"


def test_the_live_stream_outlives_the_process(api: MetricsApi) -> None:
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        first = fresh(1)
        api.send(first)
        stream.requests(1)
        seen = stream.last_id
    api.process.kill9()
    missed = fresh(5)
    api.send(missed)
    api.start()
    with api.listen(topics="requests", last_event_id=seen) as stream:
        assert set(stream.requests(5)) == {event.request_id for event in missed}


def test_a_flood_is_cut_short_and_says_so(api: MetricsApi) -> None:
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        api.send(fresh(400))
        seen = 0
        skipped = 0
        while seen + skipped < 400:
            message = stream.next("requests")
            assert len(message["data"]) <= 50
            seen += len(message["data"])
            skipped += message.get("skipped", 0)
    assert seen + skipped == 400


def test_the_live_stream_is_bounded(api: MetricsApi) -> None:
    for _ in range(3):
        api.redis.xadd(LIVE, {"e": b'{"type":"requests","data":[]}'})
    pipe = api.redis.pipeline(transaction=False)
    for _ in range(6000):
        pipe.xadd(LIVE, {"e": b'{"type":"requests","data":[]}'})
    pipe.execute()
    api.send(fresh(1))
    api.wait_for(1)
    assert api.redis.xlen(LIVE) < 2500


def test_a_stop_ends_the_streams(api: MetricsApi) -> None:
    with api.listen(topics="requests") as stream:
        stream.next("connected")
        assert api.process.stop() == 0
        assert list(stream.messages()) == []


@pytest.fixture
def impatient(redis_server: RedisServer, tmp_path: Path) -> Iterator[MetricsApi]:
    """One whose streams end after a second."""
    with MetricsApi(redis_server.url, tmp_path / "data", impatient=True) as running:
        yield running


def test_streams_end_in_time_and_who_comes_back_has_missed_nothing(impatient: MetricsApi) -> None:
    """As browsers do: again from the last id, for as many lives as it takes."""
    api = impatient
    sent: list[str] = []
    heard: list[str] = []
    last: str | None = None
    beats = 0
    for _ in range(4):
        with api.listen(topics="requests", last_event_id=last) as stream:
            for message in stream.messages():
                if message["type"] == "requests":
                    heard += [row["request_id"] for row in message["data"]]
                else:
                    assert message["type"] == "connected", "never a gap"
                    new = fresh(3)
                    api.send(new)
                    sent += [event.request_id for event in new]
            beats += stream.lines.count(": heartbeat")
            last = stream.last_id
        between = fresh(2)
        api.send(between)
        sent += [event.request_id for event in between]
    api.wait_for(len(sent))
    with api.listen(topics="requests", last_event_id=last) as stream:
        heard += stream.requests(len(sent) - len(heard))
    assert heard == sent
    assert beats


def test_one_listener_too_many_is_told_to_come_later(redis_server: RedisServer, tmp_path: Path) -> None:
    with (
        MetricsApi(redis_server.url, tmp_path / "data", {"LIFETIME": "600"}, impatient=True) as api,
        api.listen() as one,
        api.listen() as two,
        api.listen() as three,
    ):
        for stream in (one, two, three):
            stream.next("connected")
        refused = api.get("/api/events")
        assert refused.status_code == 503
        assert refused.headers["retry-after"].isdigit()
        assert refused.json()["code"] == "too_many_listeners"
        three.response.close()
        until(lambda: _listens(api), "the place of one who left is free", 30)


def _listens(api: MetricsApi) -> bool:
    with api.listen() as stream:
        return stream.response.status_code == 200

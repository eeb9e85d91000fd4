"""Reports over a real store, at times that only a held clock can bring about."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.support.builders import MOMENT, make_event
from tests.support.traffic import event as plausible

from weir.events import Outcome
from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.metrics.snapshot import MetricSnapshot
from weir.metrics_api.reports.series import SeriesQuestion, series
from weir.metrics_api.reports.snapshot import _array, complete_snapshots, snapshots, status
from weir.metrics_api.reports.summary import MOST_GROUPS, SummaryQuestion, summary
from weir.metrics_api.storage.port import Filter, Gauges, Minutes, Window
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from weir.metrics_api.storage.port import Kept

NOW = MOMENT // 1000
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
KEPT: dict[Kept, float] = {
    "requests": float("inf"),
    "5s": 86400,
    "1m": 7 * 86400,
    "1h": float("inf"),
    "1d": float("inf"),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "weir.db")
    yield opened
    await opened.close()


async def told(store: SqliteStore, seconds: int, variant: str | None = None) -> list[MetricSnapshot]:
    """The snapshots of a range, of which each says all that its shape has."""
    answer = await snapshots(store, seconds, variant, NOW)
    assert all(set(each) == set(MetricSnapshot.__struct_fields__) for each in msgspec.json.decode(answer))
    return msgspec.json.decode(answer, type=list[MetricSnapshot])


def question(length: int, by: str | None = None) -> SummaryQuestion:
    return SummaryQuestion(Window(NOW - length, NOW), Filter(), by, NOW)


@pytest.mark.parametrize("length", [10 * 60 * SECOND, HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY])
async def test_the_strip_shows_when_it_happened(store: SqliteStore, length: int) -> None:
    """One request in the middle of each second slice: day buckets would smear them."""
    slice_ = length / 30
    moments = [NOW - length + (i + 0.5) * slice_ for i in range(1, 30, 2)]
    await store.add([make_event(started_at=int(moment) * 1000) for moment in moments])
    (group,) = (await summary(store, question(length, "model"), KEPT))["groups"]
    assert group["requests"] == 15
    assert [i for i, part in enumerate(group["strip"]) if part] == list(range(1, 30, 2))


async def test_an_answer_of_rows_says_when_some_are_no_longer_kept(store: SqliteStore) -> None:
    """Sums of roll-ups are complete all the same."""
    kept: dict[Kept, float] = {**KEPT, "requests": 2 * 3600}
    for length, complete in ((HOUR, True), (2 * HOUR, False), (3 * HOUR, False)):
        assert (await summary(store, question(length, "user"), kept))["complete"] is complete, length
        assert (await summary(store, question(length, "model"), kept))["complete"], length


async def test_the_shortest_range_is_answered(store: SqliteStore) -> None:
    await store.add([make_event(started_at=(NOW - 30 * SECOND) * 1000)])
    (group,) = (await summary(store, question(60 * SECOND, "model"), KEPT))["groups"]
    assert sum(part["requests"] for part in group["strip"] if part) == 1


async def test_the_stretch_before_is_compared_with(store: SqliteStore) -> None:
    await store.add([make_event(started_at=(NOW - i * HOUR // 2 - HOUR // 4) * 1000) for i in range(4)])
    found = await summary(store, question(HOUR), KEPT)
    assert (found["total"]["requests"], found["previous"]["requests"]) == (2, 2)


@pytest.mark.parametrize("ago", [0, 25 * 60 * SECOND, 5 * HOUR])
@pytest.mark.parametrize("length", [10 * 60 * SECOND, HOUR, 5 * HOUR, 17 * HOUR])
async def test_a_summary_counts_what_is_in_its_window_and_no_other(
    store: SqliteStore, length: int, ago: int
) -> None:
    """Also where it reads whole hours and takes minutes away from them again."""
    moments = [NOW - i * 311 * SECOND - 17 for i in range(-20, 280)]
    await store.add([make_event(started_at=at * 1000, model=f"m{i // 3}") for i, at in enumerate(moments)])
    end = NOW - ago
    asked = SummaryQuestion(Window(end - length, end), Filter(), "model", NOW)
    found = await summary(store, asked, KEPT)
    start, until = found["from"], -(-end // 5000) * 5000
    inside = Counter(f"m{i // 3}" for i, at in enumerate(moments) if start <= at < until)
    assert end - length - 5000 < start <= end - length
    assert {group["key"]["model"]: group["requests"] for group in found["groups"]} == inside
    assert {group["key"]["model"]: group["latency_ms"]["n"] for group in found["groups"]} == inside
    assert found["total"]["requests"] == found["total"]["outcomes"]["completed"] == inside.total()
    for group in found["groups"]:
        assert sum(part["requests"] for part in group["strip"] if part) == group["requests"]


async def test_groups_beyond_a_hundred_are_folded_into_one(store: SqliteStore) -> None:
    await store.add([make_event(started_at=(NOW - i * SECOND - 1) * 1000, model=f"m{i}") for i in range(130)])
    groups = (await summary(store, question(HOUR, "model"), KEPT))["groups"]
    assert len(groups) == MOST_GROUPS + 1
    assert groups[-1]["key"] == {"model": None, "other": True}
    assert groups[-1]["requests"] == 30
    assert sum(part["requests"] for part in groups[-1]["strip"] if part) == 30


async def test_demo_traffic_alone_is_free(store: SqliteStore) -> None:
    await store.add([make_event(started_at=(NOW - 5000) * 1000, provider="echo")])
    assert (await summary(store, question(HOUR), KEPT))["total"]["cost_status"] == "free"
    await store.add([make_event(started_at=(NOW - 5000) * 1000)])
    assert (await summary(store, question(HOUR), KEPT))["total"]["cost_status"] == "unpriced"


async def test_a_series_keeps_twelve_groups_and_the_rest_as_other(store: SqliteStore) -> None:
    await store.add(
        [
            make_event(started_at=(NOW - 5000 - j) * 1000, model=f"m{i:02}")
            for i in range(20)
            for j in range(i + 1)
        ]
    )
    asked = SeriesQuestion(
        Window(NOW - HOUR, NOW), Filter(), (CATALOG["requests"], CATALOG["ttft_p95"]), "model", None, NOW
    )
    found = (await series(store, asked, KEPT))["series"]
    assert list(found["requests"]) == [f"m{i:02}" for i in range(19, 7, -1)] + ["other"]
    assert sum(found["requests"]["other"]) == sum(range(1, 9))
    assert max(value for value in found["ttft_p95"]["other"] if value) == pytest.approx(120.25, rel=0.01)


async def test_a_series_of_the_distant_past_reads_what_is_still_kept(store: SqliteStore) -> None:
    then = NOW - 20 * DAY
    await store.add([make_event(started_at=(then + i * HOUR // 2) * 1000) for i in range(4)])
    asked = SeriesQuestion(Window(then, then + 2 * HOUR), Filter(), (CATALOG["requests"],), None, None, NOW)
    found = await series(store, asked, KEPT)
    assert (found["step"], found["source"]) == (HOUR, "rollup_1h")
    assert sum(found["series"]["requests"]["all"]) == 4


async def test_running_totals_of_snapshots_stay_true_when_records_come_late(store: SqliteStore) -> None:
    await store.add([make_event(started_at=(NOW - seconds * SECOND) * 1000) for seconds in (100, 60, 20)])
    assert [s.requests_2xx for s in await told(store, 3600)] == [1, 2, 3]
    await store.add([make_event(started_at=(NOW - 80 * SECOND) * 1000)])
    await store.add([make_event(started_at=(NOW + 60 * SECOND) * 1000)])
    found = await told(store, 3600)
    assert [s.requests_2xx for s in found] == [1, 2, 3, 4], "what is yet to come does not count yet"


async def test_minutes_are_answered_as_five_seconds_are(store: SqliteStore) -> None:
    """Whichever text they are put together from: each field of the last minute is made by both ways."""
    source = random.Random(3)  # noqa: S311 - made-up traffic
    minute = NOW // 60_000 * 60
    for first in range(0, 300, 60):
        await store.add(
            [
                plausible((minute - source.randrange(3, 9) * 60) * 1_000_000 + i, source)
                for i in range(first, first + 60)
            ]
        )
    await store.sample(minute - 240, {"production": Gauges(3, 10), "canary": Gauges(0, 0)})
    await store.sample(minute - 600, {"production": Gauges(1, 10)})
    await store.add([make_event(started_at=(minute + 120) * 1_000_000)])
    quick = await told(store, 6 * 3600)
    stored = await store.snapshots("1m", 0)
    slow = msgspec.json.decode(
        _array(Minutes([], stored.rows, stored.totals), 60, NOW), type=list[MetricSnapshot]
    )
    assert quick == slow
    assert {each.variant for each in quick} == {"production", "canary"}
    assert [each for each in quick if each.variant == "canary"] == await told(store, 6 * 3600, "canary")
    assert quick[0].req_rate == 0


async def test_minutes_of_an_earlier_version_are_answered_too(store: SqliteStore, tmp_path: Path) -> None:
    await store.add([make_event(started_at=(NOW - i * 60 * SECOND) * 1000) for i in range(10)])
    before = await told(store, 6 * 3600)
    with closing(sqlite3.connect(tmp_path / "weir.db", isolation_level=None)) as connection:
        connection.execute("update metrics_1m set rates = null where bucket > ?", (NOW // 1000 - 300,))
    assert await told(store, 6 * 3600) == before
    assert len(before) == 10


async def test_a_bucket_without_traffic_has_a_live_snapshot_all_the_same(store: SqliteStore) -> None:
    bucket = NOW // 1000 - NOW // 1000 % 5
    (quiet,) = await complete_snapshots(store, bucket)
    assert (quiet.variant, quiet.req_rate, quiet.error_rate_pct, quiet.latency_p50) == (
        "production",
        0,
        None,
        None,
    )
    await store.add([make_event(started_at=(bucket - 30) * 1_000_000, variant="canary")])
    quiet_ones = await complete_snapshots(store, bucket)
    assert {s.variant: s.requests_2xx for s in quiet_ones} == {"production": 0, "canary": 1}


async def test_the_status_is_of_the_last_minute(store: SqliteStore) -> None:
    assert (await status(store, NOW))["production"] == {
        "healthy": True, "last_scrape": None, "req_rate": 0, "error_rate_pct": None, "latency_p50_ms": None,
        "concurrent": None, "worker_utilization": None, "rate_limit_rps": None,
        "token_rate_in": 0, "token_rate_out": 0,
    }  # fmt: skip
    failed = [
        make_event(started_at=(NOW - i * SECOND) * 1000, outcome=Outcome.TIMEOUT, status_code=504)
        for i in (5, 6)
    ]
    await store.add([*failed, *(make_event(started_at=(NOW - i * SECOND) * 1000) for i in (10, 20, 3000))])
    found = (await status(store, NOW))["production"]
    assert found["healthy"] is False
    assert found["error_rate_pct"] == 50
    assert found["req_rate"] == pytest.approx(4 / 60)
    assert found["latency_p50_ms"] == pytest.approx(1121.5, rel=0.01)
    assert found["last_scrape"] == (NOW // 1000 - 5) // 5 * 5 * 1000

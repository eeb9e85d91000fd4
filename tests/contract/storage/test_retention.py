"""Single requests whose time is over go; what they add up to stays."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.support.builders import MOMENT, make_event, make_request_id
from tests.support.traffic import event as plausible
from tests.support.waiting import eventually

from weir.metrics_api import jobs
from weir.metrics_api.jobs import Jobs
from weir.metrics_api.metrics.rollup import measure
from weir.metrics_api.settings import MetricsApiSettings
from weir.metrics_api.storage.port import Filter, RollupQuestion, Segment, Window
from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.postgres.connections import connect
from weir.servicekit.settings import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.fixtures import HeldClock

    from weir.events import RequestEvent
    from weir.metrics_api.metrics.measure import Cell
    from weir.metrics_api.storage.port import Level, Store
    from weir.metrics_api.storage.postgres.driver import Connection

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
ALWAYS = Window(0, 1 << 42)
LEVELS: tuple[Level, ...] = ("5s", "1m", "1h", "1d")


def timetable(store: Store, clock: HeldClock, kept: str) -> Jobs:
    settings = load(MetricsApiSettings, {"WEIR_RETENTION_REQUESTS": kept})
    unused = cast("Any", None)
    return Jobs(settings, store, unused, unused, clock, unused, unused, unused)


def traffic(days: int, a_day: int = 20) -> list[RequestEvent]:
    """Of the days before `MOMENT`, newest last."""
    source = random.Random(12)  # noqa: S311 - made-up traffic
    starts = sorted(MOMENT - source.randrange(days * DAY) for _ in range(days * a_day))
    return [plausible(start, source) for start in starts]


async def ids(store: Store) -> set[str]:
    page = await store.requests(ALWAYS, Filter(), limit=100_000)
    return {event.request_id for event in page.events}


async def sums(store: Store) -> dict[Level, Cell]:
    found: dict[Level, Cell] = {}
    for level in LEVELS:
        (answer,) = await store.rollups(RollupQuestion((Segment(level, 0, 1 << 32),)))
        found[level] = answer.cell
    return found


@pytest.mark.parametrize("at_once", [7, 5000])
async def test_requests_go_when_their_time_is_over_and_their_sums_stay(
    store: Store, clock: HeldClock, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(jobs, "ROWS_AT_ONCE", at_once)
    events = traffic(days=100, a_day=4)
    await store.add(events)
    before = await sums(store), await store.snapshots("1m", 0)
    await timetable(store, clock, "40d").expire_requests()
    left = [event for event in events if event.started_at >= MOMENT - 40 * DAY]
    assert 0 < len(left) < len(events)
    assert await ids(store) == {event.request_id for event in left}
    assert (await sums(store), await store.snapshots("1m", 0)) == before
    size = await store.size()
    assert size.requests == len(events), "since first use"
    assert size.oldest_request_at == left[0].started_at // 1000
    await timetable(store, clock, "40d").expire_requests()
    assert await ids(store) == {event.request_id for event in left}, "again changes nothing"


async def test_a_request_goes_at_its_moment_and_not_before(store: Store, clock: HeldClock) -> None:
    event = make_event(started_at=MOMENT - 30 * DAY)
    await store.add([event])
    timed = timetable(store, clock, "30d")
    await timed.expire_requests()
    assert await ids(store) == {event.request_id}
    clock.advance(1)
    await timed.expire_requests()
    assert await ids(store) == set()


async def test_never_deletes_none(store: Store, clock: HeldClock) -> None:
    event = make_event(started_at=MOMENT - 5000 * DAY)
    await store.add([event])
    await timetable(store, clock, "never").expire_requests()
    assert await ids(store) == {event.request_id}


async def test_records_that_come_late_are_counted_in_the_bucket_of_their_start(
    store: Store, clock: HeldClock
) -> None:
    """Older than what is kept, and of clocks that are an hour off: each arrives; then what is old goes."""
    timed = timetable(store, clock, "30d")
    earlier = traffic(days=60)
    await store.add(earlier)
    await timed.expire_requests()
    late, behind, ahead = (make_event(started_at=MOMENT + shift) for shift in (-60 * DAY, -HOUR, HOUR))
    before = await sums(store)
    assert await store.add([late, behind, ahead]) == [late, behind, ahead]
    assert late.request_id in await ids(store)
    for level in LEVELS:
        assert (await sums(store))[level].sums.requests == before[level].sums.requests + 3
    for event in (late, behind, ahead):
        bucket = event.started_at // SECOND // 5 * 5
        (answer,) = await store.rollups(RollupQuestion((Segment("5s", bucket, bucket + 5),)))
        expected = 1 + sum(each.started_at // SECOND // 5 * 5 == bucket for each in earlier)
        assert answer.cell.sums.requests == expected
    assert await store.add([late, behind, ahead]) == [], "told again"
    await timed.expire_requests()
    found = await ids(store)
    assert late.request_id not in found
    assert {behind.request_id, ahead.request_id} <= found


async def test_the_newest_sums_are_those_of_all_records_ever(store: Store, clock: HeldClock) -> None:
    events = traffic(days=90, a_day=3)
    await store.add(events)
    await timetable(store, clock, "1d").expire_requests()
    totals = (await store.snapshots("5s", 0)).totals
    assert sum(each.tokens_input for each in totals.values()) == sum(
        event.prompt_tokens or 0 for event in events
    )
    assert (await sums(store))["1d"].sums == measure(events).sums


# ── PostgreSQL's tables of months ───────────────────────────────────────────


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    opened = await connect(postgres_url, 10)
    yield opened
    await opened.close()


async def tables(connection: Connection) -> set[str]:
    found = await connection.fetch(
        "select relname from pg_inherits join pg_class on oid = inhrelid "
        "where inhparent = 'completion_requests'::regclass"
    )
    return {row[0].removeprefix("completion_requests_") for row in found}


async def until_tables(expected: set[str], timed: Jobs, connection: Connection) -> None:
    """Delete until only these are left: where somebody is in the way, a table goes the next time."""

    async def left() -> bool:
        await timed.expire_requests()
        return await tables(connection) == expected

    await eventually(left, f"only {expected} are left", 30)


async def test_months_that_are_over_are_dropped_whole(
    postgres_url: str, connection: Connection, clock: HeldClock
) -> None:
    """Two processes: the one that does not know of it goes on taking records in."""
    stores = [await PostgresStore.open(postgres_url) for _ in range(2)]
    old = [make_event(started_at=MOMENT - days * DAY) for days in (20, 50, 80)]
    for store in stores:
        await store.add(old)
    assert await tables(connection) == {"odd", "2023_10", "2023_09", "2023_08"}
    await until_tables({"odd", "2023_10"}, timetable(stores[0], clock, "25d"), connection)
    assert await ids(stores[0]) == {old[0].request_id}
    clock.advance(30 * 86400)
    await until_tables({"odd"}, timetable(stores[0], clock, "25d"), connection)
    late = [make_event(started_at=event.started_at + 1) for event in old]
    for store in reversed(stores):
        assert len(await store.add(late)) in {0, 3}
    assert await ids(stores[0]) == {event.request_id for event in late}
    await timetable(stores[1], clock, "10d").expire_requests()
    assert await ids(stores[0]) == set()
    for store in stores:
        await store.close()


async def test_a_month_with_a_request_that_began_later_stays(
    postgres_url: str, connection: Connection, clock: HeldClock
) -> None:
    store = await PostgresStore.open(postgres_url)
    odd = make_event(request_id=make_request_id(MOMENT - 80 * DAY), started_at=MOMENT)
    await store.add([odd, make_event(started_at=MOMENT - 80 * DAY)])
    await timetable(store, clock, "10d").expire_requests()
    assert await ids(store) == {odd.request_id}
    assert "2023_08" in await tables(connection)
    await store.close()


async def test_a_month_that_somebody_reads_is_dropped_another_time(
    postgres_url: str, connection: Connection, clock: HeldClock
) -> None:
    store = await PostgresStore.open(postgres_url)
    await store.add([make_event(started_at=MOMENT - 80 * DAY)])
    timed = timetable(store, clock, "10d")
    async with connection.transaction():
        await connection.fetchval("select count(*) from completion_requests")
        await timed.expire_requests()
        assert await ids(store) == set(), "its rows go one by one meanwhile"
        assert "2023_08" in await tables(connection)
    await until_tables({"odd"}, timed, connection)
    await store.close()


async def test_several_processes_may_delete_at_once(
    postgres_url: str, connection: Connection, clock: HeldClock
) -> None:
    stores = [await PostgresStore.open(postgres_url) for _ in range(3)]
    old = [make_event(started_at=MOMENT - days * DAY) for days in range(40, 400, 3)]
    kept = make_event(started_at=MOMENT)
    await stores[0].add([*old, kept])
    clock.advance(86_400)
    await asyncio.gather(*(timetable(store, clock, "10d").expire_requests() for store in stores))
    assert await ids(stores[0]) == {kept.request_id}
    await until_tables({"odd", "2023_11"}, timetable(stores[0], clock, "10d"), connection)
    for store in stores:
        await store.close()

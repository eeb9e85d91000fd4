"""What is PostgreSQL's own: schema, partitions, shards and their merging, lost connections, time limits."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from tests.support.builders import MOMENT, make_event, make_request_id
from tests.support.traffic import event as plausible

from weir.metrics_api.metrics.measure import Distributions
from weir.metrics_api.metrics.rollup import measure
from weir.metrics_api.reports.snapshot import snapshots
from weir.metrics_api.storage import filtering
from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import (
    Filter,
    Gauges,
    QueryTimeoutError,
    RollupQuestion,
    Segment,
    StorageError,
    StorageStartError,
    Window,
)
from weir.metrics_api.storage.postgres import PostgresStore, connections, texts
from weir.metrics_api.storage.postgres.compacting import LOCK, LOOK_BACK_SECONDS, compact
from weir.metrics_api.storage.postgres.connections import Readers, Writer, connect
from weir.metrics_api.storage.postgres.opening import prepare
from weir.metrics_api.storage.postgres.partitions import Month, month_of
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.rollup_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.postgres_server import PostgresServer

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Level
    from weir.metrics_api.storage.postgres.driver import Connection

SECOND = 1_000_000
DAY = 86400 * SECOND
ALWAYS = Window(0, 1 << 42)
LEVELS: tuple[Level, ...] = ("5s", "1m", "1h", "1d")
LATER = MOMENT // SECOND + 10 * 86400


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two on one database."""
    both = (await PostgresStore.open(postgres_url), await PostgresStore.open(postgres_url))
    yield both
    for store in both:
        await store.close()


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    opened = await connect(postgres_url, 10)
    yield opened
    await opened.close()


def traffic(count: int, seed: int = 3) -> list[RequestEvent]:
    source = random.Random(seed)  # noqa: S311 - made-up traffic
    return [plausible(MOMENT + source.randrange(60) * SECOND + i, source) for i in range(count)]


async def check_sums(store: PostgresStore, events: Sequence[RequestEvent]) -> None:
    """Every level tells of exactly these records."""
    expected = measure(events)
    for level in LEVELS:
        question = RollupQuestion((Segment(level, 0, 1 << 32),), distributions=Distributions._fields)
        (answer,) = await store.rollups(question)
        assert answer.cell == expected, level
    for level in ("5s", "1m"):
        stored = await store.snapshots(level, 0)
        assert sum(row.requests for row in stored.rows) == len(events)
        keys = [(row.bucket, row.variant) for row in stored.rows]
        assert keys == sorted(set(keys))
    found = await store.requests(ALWAYS, Filter(), limit=100_000)
    assert {event.request_id for event in found.events} == {event.request_id for event in events}


# ── opening ─────────────────────────────────────────────────────────────────


async def test_many_that_start_together_make_one_schema(postgres_url: str, connection: Connection) -> None:
    opened = await asyncio.gather(*(PostgresStore.open(postgres_url) for _ in range(5)))
    for store in opened:
        await store.close()
    names = [row[0] for row in await connection.fetch("select name from weir_migrations")]
    assert names == list(migrations("postgres"))


async def test_a_database_of_a_newer_version_is_refused(postgres_url: str) -> None:
    newer = {**migrations("postgres"), "0099_from_the_future": "create table future (x text)"}
    await prepare(postgres_url, newer)
    with pytest.raises(StorageStartError, match=r"newer version of Weir.*0099_from_the_future"):
        await PostgresStore.open(postgres_url)


async def test_the_database_of_another_program_is_refused(postgres_url: str, connection: Connection) -> None:
    await connection.execute("create table completion_requests (theirs text)")
    with pytest.raises(StorageStartError, match="another program"):
        await PostgresStore.open(postgres_url)


async def test_a_migration_that_fails_leaves_nothing_behind(
    postgres_url: str, connection: Connection
) -> None:
    broken = {
        **migrations("postgres"),
        "0002_x": "create table half (x text); insert into nowhere values (1)",
    }
    with pytest.raises(StorageStartError, match=r"cannot be brought up to date.*nowhere"):
        await prepare(postgres_url, broken)
    assert await connection.fetchval("select to_regclass('half')") is None
    await prepare(postgres_url)


async def test_a_user_who_may_not_make_tables_is_told_what_to_do(
    postgres_server: PostgresServer, postgres_url: str, connection: Connection
) -> None:
    await connection.execute("create role poor login")
    await connection.execute("revoke create on schema public from public")
    try:
        with pytest.raises(StorageStartError, match="grant create"):
            await prepare(postgres_url.replace("//weir@", "//poor@"))
    finally:
        await connection.execute("drop role poor")


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StorageStartError, match="does not answer") as caught:
        await prepare("postgresql://weir:hush@127.0.0.1:1/weir", wait=0)
    assert "hush" not in str(caught.value)


# ── partitions ──────────────────────────────────────────────────────────────


async def test_requests_are_in_the_table_of_their_month(
    stores: tuple[PostgresStore, PostgresStore], connection: Connection
) -> None:
    events = [make_event(started_at=MOMENT + i * 20 * DAY) for i in range(4)]
    odd = make_event(request_id="0f8fad5b-d9cb-469f-a165-70867728950e")
    await asyncio.gather(stores[0].add(events), stores[1].add([*events, odd]))
    rows = await connection.fetch(
        "select tableoid::regclass::text, count(*) from completion_requests group by 1"
    )
    assert {row[0]: row[1] for row in rows} == {
        "completion_requests_2023_11": 1,
        "completion_requests_2023_12": 2,
        "completion_requests_2024_01": 1,
        "completion_requests_odd": 1,
    }
    await check_sums(stores[0], [*events, odd])


async def test_the_tables_to_come_are_made_in_time(
    stores: tuple[PostgresStore, PostgresStore], connection: Connection
) -> None:
    await asyncio.gather(*(store.tidy() for store in stores))
    made: int = await connection.fetchval(
        "select count(*) from pg_inherits where inhparent = 'completion_requests'::regclass"
    )
    assert made == 3, "this month, the next one, and that of odd ids"


def test_a_month_is_told_by_the_id() -> None:
    november = bytes.fromhex(make_request_id(MOMENT).replace("-", ""))
    assert month_of(november) == Month(2023, 11)
    assert Month(2023, 12).next == Month(2024, 1)
    assert Month(2023, 11).first_id.bytes < november < Month(2023, 12).first_id.bytes
    assert month_of(bytes(16)) is None
    assert month_of(b"\xff" * 6 + b"\x70" + bytes(9)) is None
    assert month_of(bytes(6) + b"\x70" + bytes(9)) is None, "1970"


# ── several at once ─────────────────────────────────────────────────────────


async def test_two_that_write_have_a_shard_each_and_a_free_one_is_taken_again(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str, connection: Connection
) -> None:
    for store in stores:
        await store.add([make_event()])
    text = "select distinct shard from rollup_5s order by 1"
    assert [row[0] for row in await connection.fetch(text)] == [1, 2]
    await stores[0].close()
    third = await PostgresStore.open(postgres_url)
    await third.add([make_event()])
    await third.close()
    assert [row[0] for row in await connection.fetch(text)] == [1, 2]


async def test_the_same_records_from_both_sides_in_any_order_count_once(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    """Neither waits for the other in a circle, and each record is new to exactly one."""
    events = traffic(1200)
    source = random.Random(4)  # noqa: S311 - an order

    async def take(store: PostgresStore) -> int:
        mine = source.sample(events, len(events))
        taken = 0
        for first in range(0, len(mine), 100):
            taken += len(await store.add(mine[first : first + 100]))
        return taken

    assert sum(await asyncio.gather(*(take(store) for store in stores))) == len(events)
    await check_sums(stores[0], events)


async def test_what_was_counted_apart_is_merged_and_answers_stay_the_same(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str, connection: Connection
) -> None:
    events = traffic(900)
    late = traffic(100, seed=8)
    await asyncio.gather(stores[0].add(events[:450]), stores[1].add(events[450:]))
    for turn, store in enumerate(stores):
        await store.sample(MOMENT // SECOND + turn, {"production": Gauges(turn, 10)})
    before = await stores[0].snapshots("5s", 0)
    minutes = await snapshots(stores[0], 7 * 86400, None, MOMENT // 1000 + 10_000_000)
    assert (await stores[0].minutes(0, None)).after, "several shards have no text of their minute"
    await check_sums(stores[0], events)

    writer = Writer(postgres_url)
    await compact(writer, LATER)
    await check_sums(stores[0], events)
    assert await stores[0].snapshots("5s", 0) == before
    assert not (await stores[0].minutes(0, None)).after
    merged = await snapshots(stores[0], 7 * 86400, None, MOMENT // 1000 + 10_000_000)
    assert orjson.loads(merged) == orjson.loads(minutes) != []
    several = "select count(*) from (select id from rollup_{} group by id having count(*) > 1) as x"
    assert [await connection.fetchval(several.format(level)) for level in LEVELS] == [0, 0, 0, 0]
    assert await connection.fetchval("select bool_or(shard = 0) from metrics_5s")

    await asyncio.gather(stores[0].add(late[:50]), stores[1].add(late[50:]))
    await check_sums(stores[0], [*events, *late])
    await compact(writer, LATER)
    await check_sums(stores[0], [*events, *late])
    await writer.close()


async def test_merging_beside_ingest_loses_and_doubles_nothing(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str
) -> None:
    events = traffic(1000)
    writers = [Writer(postgres_url) for _ in range(2)]
    done = asyncio.Event()

    async def take(store: PostgresStore, mine: Sequence[RequestEvent]) -> None:
        for first in range(0, len(mine), 20):
            await store.add(mine[first : first + 20])

    async def merge(writer: Writer) -> None:
        while not done.is_set():
            await compact(writer, LATER)

    merging = [asyncio.ensure_future(merge(writer)) for writer in writers]
    await asyncio.gather(take(stores[0], events[:500]), take(stores[1], events[500:]))
    done.set()
    await asyncio.gather(*merging)
    for writer in writers:
        await writer.close()
    await check_sums(stores[0], events)


async def test_buckets_that_may_still_fill_are_left_alone(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str, connection: Connection
) -> None:
    await asyncio.gather(*(store.add([make_event()]) for store in stores))
    writer = Writer(postgres_url)
    await compact(writer, MOMENT // SECOND + 60)
    await writer.close()
    assert await connection.fetchval("select count(*) from rollup_5s") == 2


async def test_how_far_was_merged_is_known_to_whoever_merges_next(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str, connection: Connection
) -> None:
    """After a start, and in another process: old buckets are not looked through again."""
    await asyncio.gather(*(store.add([make_event()]) for store in stores))
    for _ in range(2):
        writer = Writer(postgres_url)
        await compact(writer, LATER)
        await writer.close()
    positions = {row[0]: row[1] for row in await connection.fetch("select merged, until from compaction")}
    assert set(positions) == {*TABLES, "metrics_5s", "metrics_1m"}
    assert all(LATER - 2 * 86400 < until < LATER for until in positions.values())

    far_later = LATER + 2 * LOOK_BACK_SECONDS
    writer = Writer(postgres_url)
    await compact(writer, far_later)
    await asyncio.gather(*(store.add([make_event()]) for store in stores))
    await compact(writer, far_later)
    await writer.close()
    assert await connection.fetchval("select count(*) from rollup_5s") == 3, "too late to be looked for"
    await connection.execute("update compaction set until = 0")
    writer = Writer(postgres_url)
    await compact(writer, LATER)
    await writer.close()
    assert await connection.fetchval("select count(*) from rollup_5s") == 1


async def test_while_one_merges_nobody_notes_that_it_is_done(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str, connection: Connection
) -> None:
    await asyncio.gather(*(store.add([make_event()]) for store in stores))
    writer = Writer(postgres_url)
    async with connection.transaction():
        await connection.fetchval(query("lock_until_commit", "postgres"), LOCK)
        await compact(writer, LATER)
        assert await connection.fetchval("select count(*) from compaction") == 0
    await compact(writer, LATER)
    await writer.close()
    assert await connection.fetchval("select count(*) from rollup_5s") == 1


# ── trouble ─────────────────────────────────────────────────────────────────


async def test_lost_connections_are_made_anew(
    stores: tuple[PostgresStore, PostgresStore], connection: Connection
) -> None:
    store = stores[0]
    await store.add([make_event()])
    await store.check()
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    event = make_event()
    for work in (lambda: store.add([event]), store.check):
        for _ in range(2):
            try:
                await work()
            except StorageError as error:
                assert "PostgreSQL" in str(error)  # noqa: PT017 - it may, and need not, notice first
    assert await store.request(event.request_id) is not None
    assert await store.add([event]) == []


async def test_a_question_that_takes_too_long_is_ended_in_the_database(
    postgres_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "QUERY_SECONDS", 0.2)
    readers = await Readers.open(postgres_url, readers=1)

    async def endless(connection: Connection) -> Any:
        return await connection.fetchval("select pg_sleep(600)")

    async def quick(connection: Connection) -> Any:
        return await connection.fetchval("select 1")

    with pytest.raises(QueryTimeoutError, match="longer than"):
        await readers.run(endless)
    assert await readers.run(quick) == 1, "the connection goes on"
    sleeping = "select count(*) from pg_stat_activity where state = 'active' and query like '%pg_sleep(600)%'"
    assert await connection.fetchval(f"{sleeping} and pid <> pg_backend_pid()") == 0
    await readers.close()


async def test_a_reader_cannot_write(postgres_url: str) -> None:
    await prepare(postgres_url)
    readers = await Readers.open(postgres_url, readers=1)

    async def write(connection: Connection) -> Any:
        return await connection.execute("delete from completion_requests")

    with pytest.raises(StorageError, match="read-only transaction"):
        await readers.run(write)
    await readers.close()


# ── rows ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "plain", "a\x00b", "\x01", "\x01\x02", "\x00\x01\x00", "Ä\x01\x01€"])
def test_any_text_comes_back(text: str) -> None:
    assert texts.decode(texts.encode(text)) == text
    assert b"\x00" not in texts.encode(text)


async def test_a_filter_finds_a_name_with_a_nul(stores: tuple[PostgresStore, PostgresStore]) -> None:
    user = "x'); drop table names; --"
    event = make_event(model="a\x00b", variant="\x01\x00", user=user, usage_raw=None)
    await stores[0].add([event, make_event()])
    page = await stores[0].requests(ALWAYS, Filter(model=("a\x00b",), user=(user,)), limit=5)
    assert list(page.events) == [event]
    assert "\x01\x00" in {row.variant for row in (await stores[0].snapshots("5s", 0)).rows}


async def test_requests_that_share_a_position_stay_on_one_page(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    ids = [make_request_id()[:-4] + "0001" for _ in range(5)]
    events = [make_event(request_id=each) for each in ids]
    events += [make_event(started_at=MOMENT + i) for i in (-2, -1, 1, 2)]
    await stores[0].add(events)
    for limit in range(1, 10):
        found: list[RequestEvent] = []
        before: int | None = None
        while True:
            page = await stores[0].requests(ALWAYS, Filter(), limit=limit, before=before)
            found += page.events
            before = page.next_position
            if before is None:
                break
        assert len(found) == 9, limit
        assert {event.request_id for event in found} == {event.request_id for event in events}


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "_id_idx"),
        (Filter(model=("a",)), "_filed_model_id_id_idx"),
        (Filter(user=("a",)), "_user_id_id_idx"),
        (Filter(project=("a",)), "_project_id_id_idx"),
        (Filter(api_key_id=("a",)), "_api_key_id_id_idx"),
        (Filter(outcome=("timeout",)), "_outcome_id_idx"),
        (Filter(status_codes=(404,)), "_status_code_id_idx"),
    ],
)
async def test_a_page_is_read_in_order_off_an_index(
    stores: tuple[PostgresStore, PostgresStore], connection: Connection, wanted: Filter, index: str
) -> None:
    await stores[0].add([make_event(started_at=MOMENT + i * 20 * DAY) for i in range(4)])
    conditions, values = filtering.rows(wanted)
    text = "explain " + query("requests", "postgres", filter=conditions)
    await connection.execute("set enable_seqscan = off; set enable_bitmapscan = off")
    plan = "\n".join(row[0] for row in await connection.fetch(text, 0, 1 << 62, *values, 50))
    assert f"completion_requests_2023_12{index}" in plan
    assert "Sort Key" not in plan.replace("Merge Append\n", "").partition("Merge Append")[0], plan

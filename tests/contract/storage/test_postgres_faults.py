"""PostgreSQL fails in the middle: nothing is lost, nothing is doubled, and it is said what is the matter."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest
from tests.support.builders import MOMENT
from tests.support.cut_wire import CutWire
from tests.support.postgres_server import PostgresServer
from tests.support.postgres_standby import PostgresStandby
from tests.support.traffic import event as plausible
from tests.support.waiting import eventually

from weir.metrics_api.metrics.rollup import measure
from weir.metrics_api.storage.port import (
    Filter,
    Gauges,
    RollupQuestion,
    Segment,
    StorageError,
    StorageStartError,
    Window,
)
from weir.metrics_api.storage.postgres import PostgresStore, connections
from weir.metrics_api.storage.postgres.connections import connect
from weir.metrics_api.storage.postgres.opening import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Level
    from weir.metrics_api.storage.postgres.driver import Connection

SECOND = 1_000_000
ALWAYS = Window(0, 1 << 42)
LEVELS: tuple[Level, ...] = ("5s", "1m", "1h", "1d")


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    opened = await connect(postgres_url, 60)
    yield opened
    await opened.close()


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    opened = await PostgresStore.open(postgres_url)
    yield opened
    await opened.close()


def traffic(count: int, seed: int = 3) -> list[RequestEvent]:
    source = random.Random(seed)  # noqa: S311 - made-up traffic
    return [plausible(MOMENT + source.randrange(60) * SECOND + i, source) for i in range(count)]


async def insist(store: PostgresStore, events: Sequence[RequestEvent], within: float = 30) -> int:
    """Add as ingest does, again and again; how many attempts failed."""
    failures = 0
    async with asyncio.timeout(within):
        while True:
            try:
                await store.add(events)
            except StorageError as error:
                assert str(error).startswith("PostgreSQL: "), error  # noqa: PT017 - some attempts may work
                failures += 1
                await asyncio.sleep(0.01)
            else:
                return failures


async def check_sums(store: PostgresStore, events: Sequence[RequestEvent]) -> None:
    """Rows, every level and the running totals tell of exactly these records."""
    page = await store.requests(ALWAYS, Filter(), limit=100_000)
    assert sorted(event.request_id for event in page.events) == sorted(event.request_id for event in events)
    expected = measure(events).sums
    for level in LEVELS:
        (answer,) = await store.rollups(RollupQuestion((Segment(level, 0, 1 << 32),)))
        assert answer.cell.sums == expected, level
    stored = await store.snapshots("5s", 0)
    assert sum(row.requests for row in stored.rows) == len(events)
    assert sum(totals.tokens_input for totals in stored.totals.values()) == expected.prompt_tokens


async def test_a_connection_that_is_reset_at_any_byte_loses_and_doubles_nothing(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """In the greeting, inside COPY, between statements, and between the commit and its confirmation."""
    events = traffic(1600)
    async with CutWire(postgres_server.port) as wire:
        store = await PostgresStore.open(postgres_url.replace(str(postgres_server.port), str(wire.port)))
        await store.add(events[:80])
        before = wire.sent
        await store.add(events[80:160])
        whole = wire.sent - before
        failures = 0
        for turn in range(18):
            batch = events[160 + turn * 80 : 240 + turn * 80]
            wire.arm(whole * turn // 17 - 3 * (turn == 17))
            failures += await insist(store, batch)
        assert wire.cuts >= 15, "a repeated batch, or one with fewer new strings, sends less"
        assert failures >= wire.cuts - 1
        await check_sums(store, events)
        await store.close()


@pytest.mark.parametrize(
    "code",
    [
        "40001",  # serialization failure
        "40P01",  # deadlock
        "25006",  # cannot execute in a read-only transaction
        "57P01",  # terminated by an administrator
        "57014",  # statement timeout
        "53100",  # disk full
        "XX001",  # data corrupted
    ],
)
async def test_what_may_work_later_is_tried_again(
    store: PostgresStore, connection: Connection, code: str
) -> None:
    """The server's own error, of its own making, half-way through the transaction."""
    await connection.execute(
        f"""
        create sequence failures;
        create function fail() returns trigger language plpgsql as $$
        begin
          if nextval('failures') <= 3 then
            raise exception 'made up' using errcode = '{code}';
          end if;
          return null;
        end $$;
        create trigger fail after insert on rollup_1h for each statement execute function fail();
        """
    )
    events = traffic(50)
    assert await insist(store, events) == 3
    assert await insist(store, events) == 0
    await check_sums(store, events)


async def test_a_real_deadlock_is_got_over(store: PostgresStore, connection: Connection) -> None:
    """Another program holds what the batch ends with and wants what it began with."""
    events = traffic(40)
    await store.add(events[:20])
    await connection.execute("set deadlock_timeout = '10s'")  # so that it is the batch that notices first
    ended = 0
    async with connection.transaction():
        await connection.execute("select 1 from variant_totals for update")
        adding = asyncio.ensure_future(insist(store, events[20:]))

        async def waits() -> bool:
            return await connection.fetchval(
                "select exists (select from pg_locks where not granted and locktype = 'transactionid')"
            )

        await eventually(waits, "the batch waits for the totals", 30)
        try:
            async with connection.transaction():
                await connection.execute("update rollup_1d set requests = requests")
        except asyncpg.DeadlockDetectedError:
            ended = 1
    ended += await adding
    assert ended == 1, "one of the two is ended"
    await check_sums(store, events)


async def test_a_statement_that_takes_too_long_is_given_up_and_tried_again(
    store: PostgresStore, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.3)
    events = traffic(30)
    async with connection.transaction():
        await connection.execute("lock table variant_totals in exclusive mode")
        for _ in range(2):
            with pytest.raises(StorageError, match="statement timeout"):
                await store.add(events)
    await insist(store, events)
    await check_sums(store, events)


@pytest.fixture
async def plain_url(postgres_url: str, connection: Connection) -> AsyncIterator[str]:
    """The database for a user who is no administrator: limits hold for him."""
    await connection.execute("create role plain login; grant all on schema public to plain")
    yield postgres_url.replace("//weir@", "//plain@")
    await connection.execute("drop owned by plain; drop role plain")


async def test_connections_that_run_out_are_waited_for(plain_url: str, connection: Connection) -> None:
    store = await PostgresStore.open(plain_url)
    events = traffic(30)
    await connection.execute("alter role plain connection limit 0")
    with pytest.raises(StorageError, match="too many connections"):
        await store.add(events)
    with pytest.raises(StorageError, match="too many connections"):
        await store.check()
    with pytest.raises(StorageStartError, match=r"no connection left.*max_connections"):
        await prepare(plain_url, wait=0)
    await connection.execute("alter role plain connection limit -1")
    await insist(store, events)
    await check_sums(store, events)
    await store.close()


async def test_commits_wait_for_the_disk_whatever_the_server_is_set_to(
    postgres_url: str, connection: Connection
) -> None:
    """What is acknowledged to Redis must survive the loss of power."""
    name = postgres_url.rpartition("/")[2]
    for configured, expected in (("off", "on"), ("remote_apply", "remote_apply")):
        await connection.execute(f"alter database {name} set synchronous_commit = {configured}")
        store = await PostgresStore.open(postgres_url)

        async def setting(connection: Connection, _shard: int) -> str:
            return await connection.fetchval("show synchronous_commit")

        assert await store._writer.run(setting) == expected
        await store.close()


# ── failover ────────────────────────────────────────────────────────────────


@pytest.fixture
def pair() -> Iterator[tuple[PostgresServer, PostgresStandby]]:
    """A primary and a standby that follows it."""
    primary = PostgresServer()
    primary.start()
    standby = PostgresStandby(primary)
    standby.start()
    yield primary, standby
    standby.close()
    primary.close()


async def test_a_new_primary_is_found(pair: tuple[PostgresServer, PostgresStandby]) -> None:
    primary, standby = pair
    url = await asyncio.to_thread(primary.database)
    both = url.replace(f":{primary.port}/", f":{primary.port},127.0.0.1:{standby.port}/")
    store = await PostgresStore.open(both)
    events = traffic(600)
    await store.add(events[:300])
    there = standby.url(url.rpartition("/")[2])
    await eventually(lambda: rows_at(there, 300), "the standby follows", 30)
    with pytest.raises(StorageStartError, match="standbys only"):
        await prepare(there, wait=0)
    await asyncio.to_thread(primary.crash)
    for _ in range(3):
        with pytest.raises(StorageError, match="PostgreSQL"):
            await store.add(events[300:])
    with pytest.raises(StorageError, match="PostgreSQL"):
        await store.check()
    await asyncio.to_thread(standby.promote)
    await insist(store, events[300:])
    await store.sample(MOMENT // SECOND, {"production": Gauges(1, 10)})
    await check_sums(store, events)
    await store.close()


async def rows_at(url: str, count: int) -> bool:
    """Whether a standby has so many requests. `connect` would want a server that takes changes."""
    try:
        follower = await cast("Any", asyncpg.connect)(url)
    except asyncpg.InvalidCatalogNameError:
        return False
    try:
        return await follower.fetchval("select count(*) from completion_requests") == count
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await follower.close()

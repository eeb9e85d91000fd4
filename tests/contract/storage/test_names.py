"""Strings that clients choose freely go some time after their last request; those in use never do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import MOMENT, make_event

from weir.metrics_api.storage import names_in_use
from weir.metrics_api.storage.port import Filter, Window
from weir.metrics_api.storage.postgres import PostgresStore, writing
from weir.metrics_api.storage.sqlite import SqliteStore
from weir.metrics_api.storage.sqlite import dictionary as sqlite_dictionary

if TYPE_CHECKING:
    from pathlib import Path

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Store
    from weir.metrics_api.storage.postgres.driver import Connection

SECOND = 1_000_000
ALWAYS = Window(0, 1 << 42)


def named(first: int, count: int) -> list[RequestEvent]:
    """Each of another user, a second apart."""
    return [make_event(user=f"user-{i}", started_at=MOMENT + i * SECOND) for i in range(first, first + count)]


async def users(store: Store) -> set[str | None]:
    return {event.user for event in (await store.requests(ALWAYS, Filter(), limit=10_000)).events}


async def held(store: Store) -> int:
    """How many strings the database has."""
    if isinstance(store, SqliteStore):
        return store._writing._connection.execute("select count(*) from names").fetchone()[0]
    assert isinstance(store, PostgresStore)

    async def count(connection: Connection, _shard: int) -> int:
        return await connection.fetchval("select count(*) from names")

    return await store._writer.run(count)


def ids_are_old(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are after an hour: long before a string is forgotten."""
    if isinstance(store, PostgresStore):
        monkeypatch.setattr(store._writing._names, "_until", 0.0)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits a day, and everything takes several pages."""
    monkeypatch.setattr(writing, "FORGOTTEN_SECONDS", 0)
    for name, value in (("ROWS_AT_ONCE", 7), ("NAMES_AT_ONCE", 5)):
        for module in ("sqlite", "postgres"):
            monkeypatch.setattr(f"weir.metrics_api.storage.{module}.store.{name}", value)


@pytest.mark.usefixtures("_at_once")
async def test_names_go_with_their_last_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.add(named(0, 40))
    everything = await held(store)
    assert await store.forget_names(few=0) == 0, "all are in use"
    assert await store.expire_requests((MOMENT + 30 * SECOND) // 1000, at_most=1000) == 30
    assert await store.forget_names(few=everything) == 0, "not worth it"
    assert await store.forget_names(few=0) == 30
    assert await held(store) == everything - 30
    assert await users(store) == {f"user-{i}" for i in range(30, 40)}
    assert await store.forget_names(few=0) == 0
    ids_are_old(store, monkeypatch)
    await store.add(named(0, 35))  # again, and new ids for the names
    assert await users(store) == {f"user-{i}" for i in range(40)}
    page = await store.requests(ALWAYS, Filter(user=("user-3",)), limit=10)
    assert [event.user for event in page.events] == ["user-3"]
    assert await held(store) == everything


@pytest.mark.usefixtures("_at_once")
async def test_names_that_come_back_meanwhile_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records come in beside it, of users that are just being forgotten."""
    await store.add(named(0, 60))
    await store.expire_requests((MOMENT + 60 * SECOND) // 1000, at_most=1000)
    monkeypatch.setattr(writing, "FORGOTTEN_SECONDS", 0 if isinstance(store, SqliteStore) else 3600)

    async def come_back() -> None:
        for i in range(0, 60, 2):
            again = make_event(user=f"user-{i}", started_at=MOMENT + 1000 * SECOND + i)
            await store.add([again])

    for _ in range(3):
        await asyncio.gather(store.forget_names(few=0), come_back())
        found = [event.user for event in (await store.requests(ALWAYS, Filter(), limit=1000)).events]
        assert None not in found, "each request has its user's name"
        assert set(found) == {f"user-{i}" for i in range(0, 60, 2)}


async def test_a_string_that_is_used_again_is_no_longer_about_to_go(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever uses it asks for its id within the hour, and the mark goes."""
    one, other = [await PostgresStore.open(postgres_url) for _ in range(2)]
    await one.add(named(0, 4))
    await one.expire_requests((MOMENT + 100 * SECOND) // 1000, at_most=1000)
    assert await one.forget_names(few=0) == 0, "a day has to pass"
    before = await held(one)
    await other.add(named(0, 2))
    monkeypatch.setattr(writing, "FORGOTTEN_SECONDS", 0)
    assert await one.forget_names(few=0) == 2
    assert await held(one) == before - 2
    ids_are_old(one, monkeypatch)
    await one.add(named(10, 2) + named(2, 1))
    assert await users(other) == {"user-0", "user-1", "user-2", "user-10", "user-11"}
    for each in (one, other):
        await each.close()


async def test_too_many_names_at_once_leave_it_for_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's one writer remembers what it has used meanwhile, but not without end."""
    store = SqliteStore.open(tmp_path / "weir.db")
    await store.add(named(0, 5))
    store._writing.watch_names()
    ids = list(range(1, 50))
    assert store._writing._names.not_used_since(ids) == ids
    monkeypatch.setattr(sqlite_dictionary, "CACHED", 3)
    await store.add(named(5, 9))
    assert store._writing._names.not_used_since(ids) == [], "what was used is no longer known"
    await store.close()


def test_bits_say_what_is_used() -> None:
    used = names_in_use.NamesInUse(20)
    used.note([1, 8, None, 20, 21, 500])
    assert used.unused(range(1, 24)) == [i for i in range(1, 21) if i not in {1, 8, 20}]

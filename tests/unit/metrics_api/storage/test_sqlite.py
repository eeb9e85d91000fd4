"""What is SQLite's own: size, plans, caches, time limits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import MOMENT, make_event

from weir.events import Outcome
from weir.metrics_api.metrics.dimension import OTHER
from weir.metrics_api.metrics.rollup import dimensions_of
from weir.metrics_api.problems import problem_of
from weir.metrics_api.storage import filtering
from weir.metrics_api.storage.places import Places, TooManyQuestionsError
from weir.metrics_api.storage.port import Filter, QueryTimeoutError, StorageError, Window
from weir.metrics_api.storage.position import first_of, next_slot, position, started_at
from weir.metrics_api.storage.queries import query
from weir.metrics_api.storage.request_row import OUTCOMES
from weir.metrics_api.storage.sqlite import SqliteStore, threads
from weir.metrics_api.storage.sqlite.dictionary import Combinations, Names
from weir.metrics_api.storage.sqlite.opening import open_reader, open_writer
from weir.metrics_api.storage.sqlite.threads import ReaderThreads
from weir.metrics_api.storage.sqlite.trouble import DatabaseFile

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_typical_request_takes_at_most_350_bytes(tmp_path: Path) -> None:
    path = tmp_path / "weir.db"
    store = SqliteStore.open(path)
    count = 5000
    await store.add(
        [
            make_event(started_at=MOMENT + i * 10_000, model=f"m{i % 10}", user=f"u{i % 50}")
            for i in range(count)
        ]
    )
    await store.close()
    connection = sqlite3.connect(path)
    used: int = connection.execute(
        "select sum(pgsize) from dbstat where name like 'completion_requests%' or name = 'names'"
    ).fetchone()[0]
    connection.close()
    assert used / count <= 350


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "integer primary key"),
        (Filter(model=("a",)), "completion_requests_model"),
        (Filter(user=("a",)), "completion_requests_user"),
        (Filter(project=("a",)), "completion_requests_project"),
        (Filter(api_key_id=("a",)), "completion_requests_api_key"),
        (Filter(outcome=("timeout",)), "completion_requests_not_completed"),
        (Filter(status_codes=(404,)), "completion_requests_not_ok"),
    ],
)
def test_a_page_is_read_in_order_off_an_index(tmp_path: Path, wanted: Filter, index: str) -> None:
    connection = open_writer(tmp_path / "weir.db")
    conditions, values = filtering.rows(wanted)
    text = "explain query plan " + query("requests", filter=conditions)
    plan = [str(row[3]).lower() for row in connection.execute(text, (0, 1 << 62, *values, 50))]
    connection.close()
    assert index in plan[0], plan
    assert not any("temp b-tree" in step for step in plan), plan


def test_a_position_holds_the_time_and_keeps_the_order() -> None:
    id_ = bytes(14) + b"\xff\xff"
    assert started_at(position(MOMENT, id_)) == MOMENT
    assert position(MOMENT, id_) < position(MOMENT + 1, bytes(16))
    assert first_of(MOMENT // 1000) <= position(MOMENT, bytes(16))
    assert started_at(next_slot(position(MOMENT, id_))) == MOMENT
    assert next_slot(position(MOMENT, id_)) == position(MOMENT, bytes(16))
    assert first_of(1 << 60) == 2**63 - 1


def test_every_outcome_has_its_place() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert OUTCOMES[0] is Outcome.COMPLETED, "the partial index on failures counts on it"


def test_names_given_in_a_transaction_that_failed_are_forgotten(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "weir.db")
    names = Names(connection)
    connection.execute("begin")
    assert names["a"] == 1
    connection.execute("rollback")
    names.rolled_back()
    connection.execute("begin")
    assert (names["b"], names["a"], names["b"], names[None]) == (1, 2, 1, None)
    connection.execute("commit")
    names.committed()
    assert Names(connection)["a"] == 2
    connection.close()


def test_too_many_combinations_are_no_longer_counted_apart(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "weir.db")
    combinations = Combinations(connection, most=3)
    ids = [combinations[dimensions_of(make_event(model=f"m{i}"))] for i in range(10)]
    assert len(set(ids)) == 4
    models = {row[0] for row in connection.execute("select model from rollup_dimensions")}
    assert OTHER in models
    connection.close()


async def test_a_question_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_writer(tmp_path / "weir.db").close()
    monkeypatch.setattr(threads, "QUERY_SECONDS", 0.05)
    readers = ReaderThreads(DatabaseFile(tmp_path / "weir.db"), readers=1)

    def endless(connection: sqlite3.Connection) -> Any:
        text = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        return connection.execute(text).fetchone()

    def quick(connection: sqlite3.Connection) -> Any:
        return connection.execute("select 1").fetchone()

    with pytest.raises(QueryTimeoutError, match="longer than"):
        await readers.run(endless)
    assert await readers.run(quick) == (1,), "the connection goes on"
    with pytest.raises(StorageError, match="no such table"):
        await readers.run(lambda connection: connection.execute("select * from missing"))
    readers.close()


async def test_more_questions_than_there_are_places_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_writer(tmp_path / "weir.db").close()
    readers = ReaderThreads(DatabaseFile(tmp_path / "weir.db"), readers=1)
    monkeypatch.setattr(readers, "_places", Places(3))
    go_on = threading.Event()

    def wait(_connection: sqlite3.Connection) -> bool:
        return go_on.wait(30)

    waiting = [asyncio.ensure_future(readers.run(wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyQuestionsError) as error:
        await readers.run(wait)
    told = problem_of(error.value)
    assert told is not None
    assert (told.status, told.code, told.headers) == (503, "too_many_questions", {"Retry-After": "2"})
    go_on.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await readers.run(wait), "its place is free again"
    readers.close()


async def test_the_time_in_which_a_question_waits_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_writer(tmp_path / "weir.db").close()
    readers = ReaderThreads(DatabaseFile(tmp_path / "weir.db"), readers=1)
    go_on = threading.Event()
    first = asyncio.ensure_future(readers.run(lambda _connection: go_on.wait(30)))
    await asyncio.sleep(0)
    monkeypatch.setattr(threads, "QUERY_SECONDS", -1.0)
    second = asyncio.ensure_future(readers.run(lambda _connection: pytest.fail("it was asked all the same")))
    await asyncio.sleep(0)
    go_on.set()
    assert await first
    with pytest.raises(QueryTimeoutError):
        await second
    readers.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    open_writer(tmp_path / "weir.db").close()
    connection = open_reader(tmp_path / "weir.db")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("delete from completion_requests")
    connection.close()


async def test_values_are_never_sql(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "weir.db")
    evil = "x'); drop table completion_requests; --"
    event = make_event(model=evil, user=evil, project=evil)
    await store.add([event])
    page = await store.requests(
        Window(0, 1 << 42), Filter(model=(evil,), user=(evil,), project=(evil,)), limit=5
    )
    assert [found.request_id for found in page.events] == [event.request_id]
    await store.close()

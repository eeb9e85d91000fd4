"""Workers and proxies die and stop; whatever a client got whole has its record, and nothing has two."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

import pytest
from redis.asyncio import Redis
from tests.support.fake_llm import FakeLLM
from tests.support.fake_llm.exchange import STREAM_HEADERS
from tests.support.load import Ledger
from tests.support.processes import children, command_line
from tests.support.proxy import CHAT, ask, completion, start_proxy
from tests.support.raw_http import Connection
from tests.support.records import Records, marker
from tests.support.waiting import eventually

from weir.events.stream import heartbeat_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.fake_llm import Exchange
    from tests.support.processes import Process
    from tests.support.redis_server import RedisServer

    from weir.events import RequestEvent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers through /proc")

WORKERS: Final = 2


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as fake:
        yield fake


@pytest.fixture
async def proxy(
    fake: FakeLLM, redis_server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Process]:
    more: dict[str, str] = getattr(request, "param", {})
    settings = {"WEIR_UPSTREAM_URL": fake.url, "WEIR_PROXY_WORKERS": str(WORKERS), **more}
    process = start_proxy(redis_server.url, tmp_path, settings)
    yield process
    was_running = process.running()
    code = await asyncio.to_thread(process.stop)
    assert code == 0 or not was_running, process.stderr


@pytest.fixture
async def records(redis_server: RedisServer) -> AsyncIterator[Records]:
    redis = Redis.from_url(redis_server.url)
    records = Records(redis)
    yield records
    await records.read()
    records.assert_once()
    await redis.aclose()


async def test_killed_workers_lose_no_answered_request(proxy: Process, records: Records) -> None:
    ledger = Ledger(proxy.url)

    async def kill_workers() -> None:
        for number, answers in enumerate((83, 21, 57, 104)):
            await ledger.more(answers)
            os.kill((await workers(proxy))[number % WORKERS], signal.SIGKILL)
        await ledger.more(100)

    await ledger.load(8, kill_workers)
    for record in await records.of_all(ledger.whole, deadline=15):
        assert record.outcome == "completed"
    in_flight = await accepted(records, ledger.broken)
    assert {record.outcome for record in in_flight} <= {"internal_error", "completed"}
    assert {record.error_type for record in in_flight} <= {"proxy_crashed", None}


async def test_what_was_in_flight_in_a_killed_worker_is_recorded_as_crashed(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    marks = [marker() for _ in range(6)]
    connections = [await Connection.open(proxy.url) for _ in marks]
    for connection, mark in zip(connections, marks, strict=True):
        body = json.dumps(completion("answer:stall", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [("x-request-id", mark), ("x-weir-user", "ada")], body)
    heads = [await connection.head() for connection in connections]
    ids = {head.header("x-weir-request-id") for head in heads}

    for pid in await workers(proxy):
        os.kill(pid, signal.SIGKILL)
    for connection in connections:
        await connection.ended()
        await connection.close()

    async def recorded() -> list[str]:
        await records.read()
        found = [event for event in records.events if event.request_id in ids]
        return [event.request_id for event in found] if len(found) == len(ids) else []

    await eventually(recorded, "each request in flight has its record")
    crashed = [event for event in records.events if event.request_id in ids]
    assert {(event.outcome, event.error_type) for event in crashed} == {("internal_error", "proxy_crashed")}
    assert {event.endpoint for event in crashed} == {"chat.completions"}
    assert all(event.started_at > 0 for event in crashed)


async def test_the_other_worker_serves_on_and_a_new_one_comes(proxy: Process) -> None:
    before = await workers(proxy)
    os.kill(before[0], signal.SIGKILL)

    async def served() -> bool:
        answers = await asyncio.gather(
            *(ask(proxy.url, "answer", marker()) for _ in range(20)), return_exceptions=True
        )
        return all(not isinstance(answer, BaseException) and answer.status == 200 for answer in answers)

    await eventually(served, "all are served again", deadline=30)

    async def renewed() -> bool:
        return before[0] not in await workers(proxy)

    await eventually(renewed, "a new worker took the place")
    assert (await ask(proxy.url, "answer", marker())).status == 200


async def test_a_worker_killed_at_its_birth_is_replaced_too(proxy: Process) -> None:
    """It dies before it has read what it should do: its place must not stay empty for that."""
    known = set(await workers(proxy))
    os.kill(min(known), signal.SIGKILL)
    for _ in range(4):
        newborn = await eventually(lambda: newcomers(proxy, known), "a new worker", step=0.0005)
        os.kill(newborn[0], signal.SIGKILL)
        known.update(newborn)

    await eventually(lambda: newcomers(proxy, known), "and again after the last one")
    answers = await asyncio.gather(*(ask(proxy.url, "answer", marker()) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}, "no listening socket is left without its worker"


async def test_sigterm_lets_a_stream_finish(fake: FakeLLM, proxy: Process, records: Records) -> None:
    go_on = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await exchange.head("200 OK", STREAM_HEADERS)
        await exchange.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
        await go_on.wait()
        await exchange.chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
        await exchange.chunk(b"data: [DONE]\n\n")
        await exchange.chunk(b"")

    fake.on("held", held)
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        body = json.dumps(completion("held", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [("x-request-id", mark)], body)
        head = await connection.head()
        parts = connection.parts(head)
        first = await anext(parts)
        proxy.send(signal.SIGTERM)
        await eventually(lambda: refused(proxy), "nobody new is let in")
        assert proxy.running()
        go_on.set()
        rest = b"".join([part async for part in parts])
    assert b'"a"' in first
    assert rest.endswith(b"data: [DONE]\n\n")
    assert await asyncio.to_thread(proxy.wait) == 0, proxy.stderr
    assert (await records.of(mark)).outcome == "completed"


async def test_a_second_sigterm_ends_at_once_and_the_next_start_records_it(
    fake: FakeLLM, proxy: Process, redis_server: RedisServer, records: Records, tmp_path: Path
) -> None:
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        body = json.dumps(completion("answer:stall", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [("x-request-id", mark)], body)
        request_id = (await connection.head()).header("x-weir-request-id")
        proxy.send(signal.SIGTERM)
        await eventually(lambda: refused(proxy), "nobody new is let in")
        proxy.send(signal.SIGTERM)
        await asyncio.to_thread(proxy.wait, 20)

    again = start_proxy(redis_server.url, tmp_path, {"WEIR_UPSTREAM_URL": fake.url})

    async def recorded() -> bool:
        await records.read()
        return any(event.request_id == request_id for event in records.events)

    await eventually(recorded, "the request that was cut off has its record")
    (event,) = [event for event in records.events if event.request_id == request_id]
    assert event.outcome in {"internal_error", "cancelled", "truncated"}
    assert await asyncio.to_thread(again.stop) == 0, again.stderr


async def test_an_idle_proxy_stops_at_once(proxy: Process) -> None:
    async with await Connection.open(proxy.url) as idle:
        body = json.dumps(completion("answer")).encode()
        await idle.request("POST", CHAT, [], body)
        await idle.answer()
        proxy.send(signal.SIGTERM)
        assert await asyncio.to_thread(proxy.wait, 20) == 0, proxy.stderr
        assert await idle.ended() == b""


async def test_a_killed_parent_takes_its_workers_along(proxy: Process) -> None:
    """No worker may go on serving whose records nobody ships."""
    proxy.kill9()
    await eventually(lambda: refused(proxy), "the port is free again", deadline=30)


async def test_a_stream_outlives_its_parent_and_is_recorded_as_what_it_became(
    fake: FakeLLM, proxy: Process, redis_server: RedisServer, records: Records, tmp_path: Path
) -> None:
    """The worker of a killed parent finishes what it has, while the next parent looks after the journal."""
    go_on = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunk(exchange.reply.events[0])
        await go_on.wait()
        for event in exchange.reply.events[1:]:
            await exchange.chunk(event)
        await exchange.chunk(exchange.reply.end)
        await exchange.chunk(b"")

    fake.on("held", held)
    mark, after = marker(), marker()
    async with await Connection.open(proxy.url) as connection:
        body = json.dumps(completion("held", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [("x-request-id", mark)], body)
        head = await connection.head()
        parts = connection.parts(head)
        await anext(parts)
        proxy.kill9()
        again = start_proxy(redis_server.url, tmp_path, {"WEIR_UPSTREAM_URL": fake.url})
        assert (await ask(again.url, "answer", after)).status == 200
        await records.of(after)  # by now it has looked at what the killed one left
        go_on.set()
        rest = b"".join([part async for part in parts])
    assert rest.endswith(b"data: [DONE]\n\n")
    record = await records.of(mark, deadline=15)
    assert (record.request_id, record.outcome) == (head.header("x-weir-request-id"), "completed")
    assert await asyncio.to_thread(again.stop) == 0, again.stderr


@pytest.mark.parametrize("proxy", [{"WEIR_JOURNAL_KEEP": "1ms", "WEIR_PROXY_ID": "p"}], indirect=True)
async def test_what_nobody_has_stored_is_sent_again_to_a_redis_that_was_emptied(
    proxy: Process, redis_server: RedisServer
) -> None:
    """However long ago it was confirmed: while no metrics API reads, the journal is all there is."""
    marks = {marker() for _ in range(5)}
    async with Redis.from_url(redis_server.url) as redis:

        async def has_all() -> bool:
            records = Records(redis)
            await records.read()
            return marks <= {event.client_request_id for event in records.events}

        for mark in marks:
            assert (await ask(proxy.url, "answer", mark)).status == 200
        await eventually(has_all, "all are confirmed", deadline=30)
        for pid in await workers(proxy):
            os.kill(pid, signal.SIGKILL)  # what they wrote is complete and could be freed
        beats: set[object] = set()

        async def looked_round_often() -> bool:
            beats.add(await redis.hget(heartbeat_key("p"), "sent_at"))
            return len(beats) > 5

        await eventually(looked_round_often, "the proxy looks after its journal every second", deadline=60)
        await redis.flushall()
        await eventually(has_all, "all of them come again", deadline=60)


async def workers(proxy: Process) -> list[int]:
    """Their process ids, when all of them are there."""

    async def complete() -> list[int]:
        found = [pid for pid in children(proxy.pid) if "resource_tracker" not in command_line(pid)]
        return found if len(found) == WORKERS else []

    return await eventually(complete, "all workers run")


async def newcomers(proxy: Process, known: set[int]) -> list[int]:
    """Processes the proxy has started that are not known yet, as early as they can be seen."""
    return [pid for pid in children(proxy.pid) if pid not in known]


async def refused(proxy: Process) -> bool:
    try:
        connection = await Connection.open(proxy.url)
    except ConnectionError:
        return True
    await connection.close()
    return False


async def accepted(records: Records, marks: list[str]) -> list[RequestEvent]:
    await records.read()
    return [event for event in records.events if event.client_request_id in set(marks)]

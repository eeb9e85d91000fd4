"""A client that leaves stops the upstream's work at once, and its request has one record that says so."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.fake_llm import script
from tests.support.fake_llm.exchange import STREAM_HEADERS
from tests.support.fake_llm.manners import stall
from tests.support.proxy import CHAT, completion
from tests.support.raw_http import Connection, request_bytes
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import Exchange, FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE: Final = 5.0
"""The longest time between the client's leaving and the upstream's noticing, seconds."""
WAYS = ["fin", "rst", "half-close"]


async def leave(connection: Connection, way: str) -> None:
    """End a connection as clients do: close it, break it, or close the sending half and stop reading."""
    if way == "fin":
        await connection.close()
    elif way == "rst":
        connection.reset()
    else:
        connection.half_close()


async def upstream_notices(fake: FakeLLM, mark: str) -> None:
    received = await fake.request(mark)
    async with asyncio.timeout(AT_ONCE):
        await received.left.wait()


def chat(proxy: Process, model: str, mark: str, *, stream: bool) -> bytes:
    body = json.dumps(completion(model, mark, stream=stream)).encode()
    headers = [("Content-Type", "application/json"), ("x-request-id", mark)]
    return request_bytes(proxy.url.removeprefix("http://"), "POST", CHAT, headers, body)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_leaving_before_the_first_byte(
    fake: FakeLLM, proxy: Process, records: Records, way: str, stream: bool
) -> None:
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(chat(proxy, "answer:silent", mark, stream=stream))
        await fake.request(mark)
        await leave(connection, way)
        await upstream_notices(fake, mark)
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == ("cancelled", None), "no head was sent"
    assert record.error_type
    assert record.time_to_first_token_ms is None
    assert record.duration_ms is not None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_leaving_in_the_middle_of_the_answer(
    fake: FakeLLM, proxy: Process, records: Records, way: str, stream: bool
) -> None:
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(chat(proxy, "answer:stall", mark, stream=stream))
        head = await connection.head()
        assert await anext(connection.parts(head))
        await leave(connection, way)
        await upstream_notices(fake, mark)
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == ("cancelled", 200)
    assert record.error_type
    assert (record.prompt_tokens, record.total_tokens) == (None, None), "what was not told is not known"
    if stream:
        assert record.time_to_first_token_ms is not None
        assert record.content_chunks == 2
        assert (record.usage_source, record.completion_tokens) == ("estimated", 2)


async def test_leaving_while_the_upstream_talks_without_pause(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    async def talk(exchange: Exchange) -> None:
        await exchange.head("200 OK", STREAM_HEADERS)
        event = script.events("talk", script.SCRIPTS["short"], include_usage=False)[1]
        while True:  # ends by SenderLeftError
            await exchange.chunk(event)
            await asyncio.sleep(0)

    fake.on("talk", talk)
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(chat(proxy, "talk", mark, stream=True))
        head = await connection.head()
        assert await anext(connection.parts(head))
        await connection.close()
        await upstream_notices(fake, mark)
    assert (await records.of(mark)).outcome == "cancelled"


async def test_leaving_in_the_middle_of_ones_own_body(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(chat(proxy, "answer", mark, stream=False)[:-20])
        await connection.close()
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == ("cancelled", None)
    assert fake.requests(mark) == []


async def test_leaving_before_the_head_is_complete_is_no_request(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    half, whole = marker(), marker()
    async with await Connection.open(proxy.url) as connection:
        request = chat(proxy, "answer", half, stream=False)
        await connection.send(request[: request.index(b"\r\n\r\n")])
        await connection.close()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(chat(proxy, "answer", whole, stream=False))
        await connection.answer()
    await records.of(whole)
    assert not records.has(half)


async def test_leaving_with_more_requests_in_the_pipe(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """The second request was sent but its turn never came: it may have a record, but not two, and no work."""
    first, second = marker(), marker()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(
            chat(proxy, "answer:silent", first, stream=False) + chat(proxy, "answer", second, stream=False)
        )
        await fake.request(first)
        connection.reset()
        await upstream_notices(fake, first)
    assert (await records.of(first)).outcome == "cancelled"
    assert fake.requests(second) == []


async def test_leaving_after_the_answer_is_no_cancellation(proxy: Process, records: Records) -> None:
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(chat(proxy, "long", mark, stream=True))
        await connection.answer()
        connection.reset()
    assert (await records.of(mark)).outcome == "completed"


async def test_many_that_leave_let_go_of_every_upstream_connection(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    marks = [marker() for _ in range(50)]
    fake.on("held", stall)
    clients = [await Connection.open(proxy.url) for _ in marks]
    for client, mark in zip(clients, marks, strict=True):
        await client.send(chat(proxy, "held", mark, stream=True))
    for client in clients:
        await client.head()
    for number, client in enumerate(clients):
        await leave(client, WAYS[number % 2])
    for mark in marks:
        await upstream_notices(fake, mark)
    outcomes = {record.outcome for record in await records.of_all(marks)}
    assert outcomes == {"cancelled"}

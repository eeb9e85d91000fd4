"""Upstream connections are kept and used again, and a few of them carry a lot."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.proxy import CHAT, MODELS, ask, completion
from tests.support.raw_http import Connection
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS: Final = 5
REQUESTS: Final = 200
"""Per client."""


async def test_a_thousand_requests_use_a_handful_of_upstream_connections(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    before = fake.connections
    marks = [[marker() for _ in range(REQUESTS)] for _ in range(CLIENTS)]

    async def client(own: list[str]) -> None:
        async with await Connection.open(proxy.url) as connection:
            for number, mark in enumerate(own):
                body = json.dumps(completion("answer", stream=number % 4 == 0)).encode()
                await connection.request("POST", CHAT, [("x-request-id", mark)], body)
                answer = await connection.answer()
                assert answer.status == 200

    async with asyncio.TaskGroup() as group:
        for own in marks:
            group.create_task(client(own))

    assert fake.connections - before <= 2 * CLIENTS
    outcomes = [record.outcome for record in await records.of_all([mark for own in marks for mark in own])]
    assert outcomes == ["completed"] * (CLIENTS * REQUESTS)


@pytest.mark.parametrize("model", ["answer:204", "answer:interim", "answer:429", "answer:503", "answer:drip"])
async def test_a_connection_is_used_again_after_any_whole_answer(
    fake: FakeLLM, proxy: Process, model: str
) -> None:
    await ask(proxy.url, "answer", marker())
    before = fake.connections
    for _ in range(5):
        await ask(proxy.url, model, marker(), stream=True)
        await ask(proxy.url, "answer", marker())
    assert fake.connections == before


async def test_a_listing_uses_the_same_connections(fake: FakeLLM, proxy: Process) -> None:
    await ask(proxy.url, "answer", marker())
    before = fake.connections
    async with await Connection.open(proxy.url) as connection:
        for _ in range(5):
            await connection.request("GET", MODELS)
            assert (await connection.answer(method="GET")).status == 200
    assert fake.connections == before


@pytest.mark.parametrize("model", ["answer:close-after", "answer:say-close", "answer:http10"])
async def test_an_upstream_that_closes_after_each_answer_costs_no_request(
    fake: FakeLLM, proxy: Process, records: Records, model: str
) -> None:
    marks = [marker() for _ in range(20)]
    for mark in marks:
        assert (await ask(proxy.url, model, mark)).status == 200
    for record in await records.of_all(marks):
        assert (record.outcome, record.completion_tokens) == ("completed", 7)


async def test_requests_at_the_same_time_do_not_wait_for_one_another(fake: FakeLLM, proxy: Process) -> None:
    held = marker()
    async with await Connection.open(proxy.url) as waiting:
        body = json.dumps(completion("answer:silent", held)).encode()
        await waiting.request("POST", CHAT, [], body)
        await fake.request(held)
        answers = await asyncio.gather(*(ask(proxy.url, "answer", marker()) for _ in range(100)))
        assert {answer.status for answer in answers} == {200}


async def test_a_client_that_says_close_is_closed(proxy: Process) -> None:
    async with await Connection.open(proxy.url) as connection:
        body = json.dumps(completion("answer")).encode()
        await connection.request("POST", CHAT, [("Connection", "close")], body)
        assert (await connection.answer()).status == 200
        assert await connection.ended() == b""


async def test_a_client_of_http_1_0_gets_an_answer_it_understands(proxy: Process) -> None:
    """No chunks: the length is told, or the end of the connection is the end of the answer."""
    for stream in (False, True):
        body = json.dumps(completion("answer", stream=stream)).encode()
        head = f"POST {CHAT} HTTP/1.0\r\nHost: weir\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        async with await Connection.open(proxy.url) as connection:
            await connection.send(head + body)
            answer = await connection.answer()
        assert answer.status == 200
        assert answer.header("transfer-encoding") is None
        assert b"wide" in answer.body

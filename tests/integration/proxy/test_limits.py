"""Limits that a client can run into: slow heads, idle connections, too many requests at once."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.proxy import CHAT, ask, completion
from tests.support.raw_http import Connection
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD_SECONDS, IDLE_SECONDS, IN_FLIGHT = 0.4, 0.8, 8
SLACK: Final = 20.0
"""How much later than its limit a connection may be ended, seconds."""


@pytest.fixture(scope="module")
def proxy_settings(fake: FakeLLM) -> dict[str, str]:
    return {
        "WEIR_UPSTREAM_URL": fake.url,
        "WEIR_PROXY_HEAD_TIMEOUT": f"{HEAD_SECONDS}s",
        "WEIR_PROXY_KEEP_ALIVE": f"{IDLE_SECONDS}s",
        "WEIR_PROXY_MAX_IN_FLIGHT": str(IN_FLIGHT),
    }


async def test_a_head_that_comes_too_slowly_is_given_up(proxy: Process) -> None:
    async with await Connection.open(proxy.url) as connection:
        await connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: w".encode())
        start = time.monotonic()
        answer = await connection.answer()
        assert HEAD_SECONDS * 0.9 < time.monotonic() - start < HEAD_SECONDS + SLACK
        assert answer.status == 408
        assert answer.error["type"] == "invalid_request_error"
        assert await connection.ended() == b""


async def test_an_idle_connection_is_closed(proxy: Process) -> None:
    for requests in (0, 1):
        async with await Connection.open(proxy.url) as connection:
            for _ in range(requests):
                await connection.request("POST", CHAT, [], json.dumps(completion("answer")).encode())
                await connection.answer()
            start = time.monotonic()
            assert await connection.ended() == b""
            assert IDLE_SECONDS * 0.9 < time.monotonic() - start < IDLE_SECONDS + SLACK


async def test_a_slow_answer_is_not_an_idle_connection(fake: FakeLLM, proxy: Process) -> None:
    """Nothing goes over the client's connection for longer than the limits; its request is under way."""
    async with await Connection.open(proxy.url) as connection:
        mark = marker()
        await connection.request("POST", CHAT, [], json.dumps(completion("answer:silent", mark)).encode())
        with pytest.raises(TimeoutError):
            await connection.head(deadline=HEAD_SECONDS + IDLE_SECONDS + 0.7)
        assert not (await fake.request(mark)).left.is_set()


async def test_more_requests_at_once_than_may_be_are_refused_and_recorded(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    waiting = [await Connection.open(proxy.url) for _ in range(IN_FLIGHT)]
    marks = [marker() for _ in waiting]
    for connection, mark in zip(waiting, marks, strict=True):
        body = json.dumps(completion("answer:silent", mark)).encode()
        await connection.request("POST", CHAT, [("x-request-id", mark)], body)
        await fake.request(mark)

    refused = marker()
    answer = await ask(proxy.url, "answer", refused)
    assert answer.status == 503
    assert (answer.error["type"], answer.error["code"]) == ("weir_error", "overloaded")
    assert answer.header("retry-after")
    record = await records.of(refused)
    assert (record.outcome, record.status_code, record.error_type) == ("rejected", 503, "overloaded")
    assert fake.requests(refused) == []

    for connection in waiting:
        await connection.close()
    await records.of_all(marks)
    assert (await ask(proxy.url, "answer", marker())).status == 200, "there is room again"


async def test_slow_clients_do_not_hold_up_others(fake: FakeLLM, proxy: Process) -> None:
    slow = await Connection.open(proxy.url)
    slow.stop_reading()
    await slow.request("POST", CHAT, [], json.dumps(completion("long", stream=True)).encode())
    half = await Connection.open(proxy.url)
    await half.send(f"POST {CHAT} HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\n{{".encode())
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*(ask(proxy.url, "answer", marker()) for _ in range(4)))
    assert {answer.status for answer in answers} == {200}
    await slow.close()
    await half.close()

"""Each limit on a client is a setting, holds where it is set, and says at once what is too much."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.proxy import CHAT, completion
from tests.support.raw_http import Answer, Connection, fetch
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST, MOST_OF_ADDRESS, REQUESTS = 12, 2, 3
BODY: Final = json.dumps(completion("answer")).encode()
FRAMED: Final = f"Host: w\r\nContent-Length: {len(BODY)}\r\n".encode()
LINE: Final = f"POST {CHAT} HTTP/1.1\r\n".encode()


@pytest.fixture(scope="module")
def proxy_settings(fake: FakeLLM) -> dict[str, str]:
    return {
        "WEIR_UPSTREAM_URL": fake.url,
        "WEIR_PROXY_PROTOCOL": "1",
        "WEIR_TRUSTED_PROXIES": "203.0.113.0/24",
        "WEIR_PROXY_MAX_TARGET": "100",
        "WEIR_PROXY_MAX_HEADER": "200",
        "WEIR_PROXY_MAX_HEADERS": "1000",
        "WEIR_PROXY_MAX_FIELDS": "10",
        "WEIR_PROXY_MAX_CHUNK_EXTENSION": "20",
        "WEIR_PROXY_MAX_REQUESTS": str(REQUESTS),
        "WEIR_PROXY_MAX_CONNECTIONS": str(MOST),
        "WEIR_PROXY_MAX_CONNECTIONS_PER_ADDRESS": str(MOST_OF_ADDRESS),
    }


async def come(url: str, address: str) -> Connection:
    connection = await Connection.open(url)
    family = "TCP6" if ":" in address else "TCP4"
    await connection.send(f"PROXY {family} {address} {address} 1 2\r\n".encode())
    return connection


async def say(url: str, raw: bytes) -> Answer:
    async with await come(url, "127.0.0.1") as connection:
        await connection.send(raw)
        return await connection.answer(deadline=30)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (LINE.replace(b" HTTP", b"?" + b"q" * (99 - len(CHAT)) + b" HTTP") + FRAMED + b"\r\n" + BODY, 200),
        (LINE.replace(b" HTTP", b"?" + b"q" * (100 - len(CHAT)) + b" HTTP") + FRAMED + b"\r\n", 414),
        (LINE + FRAMED + b"X: " + b"x" * 199 + b"\r\n\r\n" + BODY, 200),
        (LINE + FRAMED + b"X: " + b"x" * 200 + b"\r\n\r\n", 431),
        (LINE + FRAMED + (b"X: " + b"x" * 150 + b"\r\n") * 6 + b"\r\n" + BODY, 200),
        (LINE + FRAMED + (b"X: " + b"x" * 150 + b"\r\n") * 7 + b"\r\n", 431),
        (LINE + FRAMED + b"X: x\r\n" * 8 + b"\r\n" + BODY, 200),
        (LINE + FRAMED + b"X: x\r\n" * 9 + b"\r\n", 431),
        (LINE + b"Host: w\r\nTransfer-Encoding: chunked\r\n\r\n1;a=" + b"b" * 30 + b"\r\n", 400),
    ],
)
async def test_sizes(proxy: Process, raw: bytes, status: int) -> None:
    assert (await say(proxy.url, raw)).status == status


async def test_more_connections_of_one_address_than_may_be(proxy: Process) -> None:
    others = [await come(proxy.url, "198.51.100.7") for _ in range(MOST_OF_ADDRESS)]
    for one in others:  # each has been heard
        await one.request("POST", CHAT, [], BODY)
        assert (await one.answer(deadline=30)).status == 200
    async with await come(proxy.url, "198.51.100.7") as connection:
        answer = await connection.answer(deadline=30)
        assert (answer.status, answer.error["code"]) == (429, "too_many_connections")
        assert answer.header("retry-after")
        assert await connection.ended(deadline=30) == b""
    async with await come(proxy.url, "198.51.100.8") as connection:
        await connection.request("POST", CHAT, [], BODY)
        assert (await connection.answer(deadline=30)).status == 200
    await _leave(others)


async def test_trusted_proxies_are_believed_and_not_counted(fake: FakeLLM, proxy: Process) -> None:
    trusted = [await come(proxy.url, "203.0.113.9") for _ in range(MOST_OF_ADDRESS + 1)]
    seen = len(fake.received)
    for one in trusted:
        await one.request("POST", CHAT, [("X-Forwarded-For", "192.0.2.1")], BODY)
        assert (await one.answer(deadline=30)).status == 200
    assert {request.header("x-forwarded-for") for request in fake.received[seen:]} == {
        "192.0.2.1, 203.0.113.9"
    }
    await _leave(trusted)


async def test_more_connections_than_the_worker_takes(proxy: Process) -> None:
    waiting = [await come(proxy.url, f"198.18.0.{number}") for number in range(MOST)]
    for one in waiting:
        await one.request("POST", CHAT, [], BODY)
        assert (await one.answer(deadline=30)).status == 200
    async with await Connection.open(proxy.url) as connection:
        answer = await connection.answer(deadline=30)
        assert (answer.status, answer.error["code"]) == (503, "too_many_connections")
        assert answer.header("retry-after")
    await _leave(waiting)
    metrics = await fetch(proxy.announced["admin_url"], "GET", "/metrics")
    assert re.search(rb"^weir_proxy_connections_refused_total [1-9]", metrics.body, re.MULTILINE)


async def test_a_connection_closes_after_so_many_requests(proxy: Process) -> None:
    async with await come(proxy.url, "127.0.0.1") as connection:
        for number in range(REQUESTS):
            await connection.request("POST", CHAT, [("x-request-id", marker())], BODY)
            answer = await connection.answer(deadline=30)
            assert answer.header("connection") == ("close" if number == REQUESTS - 1 else None)
        assert await connection.ended(deadline=30) == b""


async def _leave(connections: Iterable[Connection]) -> None:
    """When this returns, the proxy has seen that they are gone."""
    for connection in connections:
        connection.half_close()
        await connection.ended(deadline=30)
        await connection.close()

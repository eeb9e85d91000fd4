"""Doors that the operator opens: to web pages, to a load balancer, to endpoints that keep state."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
from tests.support.proxy import CHAT, MODELS, ask, completion, start_proxy
from tests.support.raw_http import Answer, Connection, fetch, request_bytes
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records
    from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE: Final = "https://chat.example"
STRANGER: Final = "https://chat.example.evil"
SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
STATEFUL: Final = (
    ("GET", "/v1/files"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files/file-1/content"),
    ("DELETE", "/v1/files/file-1"),
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches/batch_1"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"),
)


@pytest.fixture(scope="module")
def proxy_settings(fake: FakeLLM) -> dict[str, str]:
    return {
        "WEIR_UPSTREAM_URL": fake.url,
        "WEIR_PROXY_CORS_ORIGINS": f"{PAGE}, http://localhost:5173",
        "WEIR_OPEN_ENDPOINTS": "files",
    }


# -- web pages


def cors(answer: Answer) -> dict[str, str]:
    pairs = {name.lower(): value for name, value in answer.head.headers}
    return {name: value for name, value in pairs.items() if name.startswith("access-control-")}


async def preflight(url: str, origin: str, path: str = CHAT) -> Answer:
    asks = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang"),
    ]
    return await fetch(url, "OPTIONS", path, asks)


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/api/chat"])
async def test_a_preflight_from_a_page_that_is_named(fake: FakeLLM, proxy: Process, path: str) -> None:
    before = len(fake.received)
    answer = await preflight(proxy.url, PAGE, path)
    assert (answer.status, answer.body) == (204, b"")
    said = cors(answer)
    assert said["access-control-allow-origin"] == PAGE
    assert said["access-control-allow-methods"] == "POST"
    assert said["access-control-allow-headers"] == "authorization,content-type,x-stainless-lang"
    assert "access-control-allow-credentials" not in said
    assert answer.header("vary") == "Origin"
    assert len(fake.received) == before, "a preflight is answered here"


@pytest.mark.parametrize("origin", [STRANGER, "null", "http://chat.example", PAGE + ":444", PAGE.upper()])
async def test_a_stranger_gets_no_leave(proxy: Process, origin: str) -> None:
    assert cors(await preflight(proxy.url, origin)) == {}
    assert cors(await ask(proxy.url, "answer", marker(), headers=[("Origin", origin)])) == {}


async def test_a_page_may_read_answers_errors_and_listings(proxy: Process, records: Records) -> None:
    mark = marker()
    origin = [("Origin", PAGE)]
    for answer in (
        await ask(proxy.url, "answer", mark, headers=origin),
        await ask(proxy.url, "answer", marker(), headers=origin, stream=True),
        await ask(proxy.url, "answer:cookies", marker(), headers=origin),
        await ask(proxy.url, "answer:429", marker(), headers=origin),
        await ask(proxy.url, "answer:garbage", marker(), headers=origin),
        await fetch(proxy.url, "GET", MODELS, origin),
        await fetch(proxy.url, "POST", CHAT, origin, b"{"),
    ):
        assert answer.header("access-control-allow-origin") == PAGE, answer
        assert "x-weir-request-id" in (answer.header("access-control-expose-headers") or "")
    assert (await records.of(mark)).outcome == "completed"


async def test_a_page_cannot_add_to_our_headers(proxy: Process) -> None:
    """What a preflight asks for is repeated: it must not become a header of its own."""
    asks = [("Origin", PAGE), ("Access-Control-Request-Method", "POST")]
    odd = [*asks, ("Access-Control-Request-Headers", "a\tb, x: y; Set-Cookie")]
    answer = await fetch(proxy.url, "OPTIONS", CHAT, odd)
    assert answer.header("set-cookie") is None


# -- endpoints that keep state


@pytest.mark.parametrize(("method", "path"), STATEFUL)
async def test_state_is_kept_from_clients_until_it_is_opened(
    fake: FakeLLM, proxy: Process, method: str, path: str
) -> None:
    mark = marker()
    body = b"{}" if method == "POST" else None
    answer = await fetch(proxy.url, method, path, [("x-request-id", mark)], body)
    if path.startswith("/v1/files"):  # the fake has none either, but it was asked
        assert (await fake.request(mark)).target == path
        assert answer.request_id
    else:
        allowed = 405 if path == "/v1/batches" and method == "GET" else 404
        assert answer.status == allowed
        assert answer.error["code"] == "unknown_url"
        assert fake.requests(mark) == []


async def test_an_opened_group_is_relayed_to_the_byte(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    mark, upload = (
        marker(),
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x00\xff\r\n--b--\r\n',
    )
    headers = [("Content-Type", "multipart/form-data; boundary=b"), ("x-request-id", mark)]
    await fetch(proxy.url, "POST", "/v1/files?purpose=x", headers, upload)
    request = await fake.request(mark)
    assert (request.target, request.body) == ("/v1/files?purpose=x", upload)
    record = await records.of(mark)
    assert (record.endpoint, record.model_requested, record.stream) == ("files.create", None, None)
    assert (record.outcome, record.status_code) == ("client_error", 404)


# -- a load balancer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def balanced(
    redis_server: RedisServer, fake: FakeLLM, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Process]:
    """A proxy behind a balancer that speaks the PROXY protocol."""
    settings = {"WEIR_UPSTREAM_URL": fake.url, "WEIR_PROXY_PROTOCOL": "1"}
    process = start_proxy(redis_server.url, tmp_path_factory.mktemp("balanced"), settings)
    yield process
    assert process.stop() == 0, process.stderr
    assert "Traceback" not in process.stderr, process.stderr


def v2(source: str, *, local: bool = False, more: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    address = socket.inet_pton(family, source)
    body = address + address + struct.pack("!HH", 40_000, 8001) + more
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack("!BBH", 0x20 if local else 0x21, kind, len(body)) + body


V1: Final = b"PROXY TCP4 203.0.113.7 10.0.0.1 40000 8001\r\n"
TLV: Final = b"\x04\x00\x04noop"
HEADERS: Final = (
    pytest.param(V1, "203.0.113.7", id="v1"),
    pytest.param(b"PROXY TCP6 2001:db8::7 ::1 40000 8001\r\n", "2001:db8::7", id="v1-ipv6"),
    pytest.param(b"PROXY UNKNOWN\r\n", "127.0.0.1", id="v1-unknown"),
    pytest.param(v2("203.0.113.7"), "203.0.113.7", id="v2"),
    pytest.param(v2("2001:db8::7", more=TLV), "2001:db8::7", id="v2-ipv6-with-more"),
    pytest.param(v2("0.0.0.0", local=True), "127.0.0.1", id="v2-local"),
)


@pytest.mark.parametrize("bytewise", [False, True], ids=["at-once", "byte-by-byte"])
@pytest.mark.parametrize(("header", "address"), HEADERS)
async def test_the_clients_address_arrives(
    fake: FakeLLM, balanced: Process, header: bytes, address: str, bytewise: bool
) -> None:
    mark = marker()
    body = json.dumps(completion("answer", mark)).encode()
    async with await Connection.open(balanced.url) as connection:
        request = header + request_bytes(connection.host, "POST", CHAT, [], body)
        for piece in [request[at : at + 1] for at in range(len(request))] if bytewise else [request]:
            await connection.send(piece)
        assert (await connection.answer()).status == 200
        await connection.request("GET", MODELS, [("x-request-id", mark)])
        assert (await connection.answer()).status == 200, "the header comes once a connection"
    assert [one.header("x-forwarded-for") for one in fake.requests(mark)] == [address] * 2


async def test_the_header_split_at_each_byte(balanced: Process) -> None:
    request = request_bytes("weir", "GET", MODELS, [])
    for header in (V1, v2("203.0.113.7")):
        for at in range(1, len(header)):
            async with await Connection.open(balanced.url) as connection:
                await connection.send(header[:at])
                await connection.send(header[at:] + request)
                assert (await connection.answer(method="GET")).status == 200, at


@pytest.mark.parametrize(
    "start",
    [
        b"GET /v1/models HTTP/1.1\r\nHost: weir\r\n\r\n",
        b"PROXY TCP4 203.0.113.7\r\nGET /v1/models HTTP/1.1\r\nHost: weir\r\n\r\n",
        b"PROXY TCP4 no.address 10.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x31\x11\x00\x0c" + b"\x00" * 12,
        SIGNATURE + b"\x21\x11\x00\x02\x00\x00",
        SIGNATURE + b"\x21\x11\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["none", "short", "no-address", "endless", "version-3", "too-short", "too-long", "tls"],
)
async def test_without_its_header_a_connection_is_closed(
    fake: FakeLLM, balanced: Process, start: bytes
) -> None:
    before = len(fake.received)
    async with await Connection.open(balanced.url) as connection:
        await connection.send(start)
        assert await connection.ended(deadline=10) == b""
    assert len(fake.received) == before


async def test_a_client_cannot_forge_its_address_behind_the_balancer(
    fake: FakeLLM, balanced: Process
) -> None:
    mark = marker()
    forged = [("x-request-id", mark), ("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6")]
    async with await Connection.open(balanced.url) as connection:
        await connection.send(V1 + request_bytes("weir", "GET", MODELS, forged))
        await connection.answer(method="GET")
    request = await fake.request(mark)
    assert request.header("x-forwarded-for") == "203.0.113.7"
    assert b"6.6.6.6" not in request.head

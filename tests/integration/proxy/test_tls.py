"""TLS for clients: what they are met with, how long they may take, and how certificates are changed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from tests.support.certificates import Authority, Pair
from tests.support.processes import children
from tests.support.proxy import CHAT, ask, completion, start_proxy
from tests.support.raw_http import Connection
from tests.support.records import marker
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_llm import Exchange, FakeLLM
    from tests.support.processes import Process
    from tests.support.raw_http import Answer
    from tests.support.records import Records
    from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON: Final = ("Content-Type", "application/json")
DEADLINE: Final = 30.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The files that the proxy was told of."""
    directory = tmp_path_factory.mktemp("tls")
    return put(authority.sign("first"), Pair(directory / "cert.pem", directory / "key.pem"))


@pytest.fixture(scope="module")
def proxy_settings(fake: FakeLLM, pair: Pair) -> dict[str, str]:
    return {
        "WEIR_UPSTREAM_URL": fake.url,
        "WEIR_PROXY_TLS_CERT": str(pair.certificate),
        "WEIR_PROXY_TLS_KEY": str(pair.key),
        "WEIR_PROXY_HEAD_TIMEOUT": "1s",
        "WEIR_PROXY_DRAIN": "10m",
    }


def put(source: Pair, target: Pair) -> Pair:
    shutil.copy(source.certificate, target.certificate)
    shutil.copy(source.key, target.key)
    return target


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


async def chat(url: str, tls: ssl.SSLContext, mark: str, model: str = "answer", **more: Any) -> Answer:
    async with await Connection.open(url, tls) as connection:
        body = json.dumps(completion(model, mark, **more)).encode()
        await connection.request("POST", CHAT, [JSON, ("x-request-id", mark)], body)
        return await connection.answer()


def name_shown(url: str, tls: ssl.SSLContext) -> str:
    """The common name in the certificate that a new connection is met with."""
    with (
        socket.create_connection(address(url), timeout=DEADLINE) as plain,
        tls.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        shown = wrapped.getpeercert()
    assert shown is not None
    subject: Any = shown["subject"]
    return dict(pair for group in subject for pair in group)["commonName"]


async def test_answers_are_the_same_as_without(
    fake: FakeLLM, proxy: Process, authority: Authority, records: Records
) -> None:
    assert proxy.url.startswith("https://")
    tls = authority.client()
    async with await Connection.open(proxy.url, tls) as connection:
        for stream in (False, True, False):
            mark = marker()
            body = json.dumps(completion("answer", mark, stream=stream)).encode()
            await connection.request("POST", CHAT, [JSON, ("x-request-id", mark)], body)
            through = await connection.answer()
            direct = await ask(fake.url, "answer", marker(), stream=stream)
            assert (through.status, through.body) == (200, direct.body)
            assert (await records.of(mark)).outcome == "completed"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_is_resumed(proxy: Process, authority: Authority, version: ssl.TLSVersion) -> None:
    tls = authority.client()
    tls.minimum_version = tls.maximum_version = version
    request = b"GET /v1/models HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n"

    def connect(session: ssl.SSLSession | None) -> tuple[bool | None, ssl.SSLSession | None]:
        with (
            socket.create_connection(address(proxy.url), timeout=DEADLINE) as plain,
            tls.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as wrapped,
        ):
            wrapped.sendall(request)
            said = b""
            while part := wrapped.recv(65536):
                said += part
            assert said.startswith(b"HTTP/1.1 200 ")
            assert wrapped.version() == version.name.replace("_", ".")
            return wrapped.session_reused, wrapped.session

    reused, session = await asyncio.to_thread(connect, None)
    assert not reused
    for _ in range(3):
        reused, session = await asyncio.to_thread(connect, session)
        assert reused


async def test_old_versions_are_not_spoken(proxy: Process, authority: Authority) -> None:
    tls = authority.client()
    tls.set_ciphers("DEFAULT@SECLEVEL=0")
    tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.deprecated_call():
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        await Connection.open(proxy.url, tls)


async def test_http_2_is_not_agreed_on(proxy: Process, authority: Authority) -> None:
    tls = authority.client()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection(*address(proxy.url), ssl=tls)
    agreed: ssl.SSLObject = writer.get_extra_info("ssl_object")
    assert agreed.selected_alpn_protocol() == "http/1.1"
    writer.close()
    await writer.wait_closed()


async def test_a_handshake_that_stalls_is_ended(proxy: Process) -> None:
    async def stall(beginning: bytes) -> bytes:
        async with await Connection.open(proxy.url.replace("https", "http")) as connection:
            await connection.send(beginning)
            return await connection.ended(deadline=DEADLINE)

    half_a_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    assert await asyncio.gather(*map(stall, (b"", half_a_hello[:1], half_a_hello))) == [b"", b"", b""]


@pytest.mark.parametrize(
    "said", [b"GET /v1/models HTTP/1.1\r\nHost: weir\r\n\r\n", b"\x80" * 600, b"SSH-2.0-x\r\n"]
)
async def test_whoever_speaks_no_tls_is_closed_quietly(
    proxy: Process, authority: Authority, said: bytes
) -> None:
    logged = proxy.stderr
    async with await Connection.open(proxy.url.replace("https", "http")) as connection:
        await connection.send(said)
        answered = await connection.ended(deadline=DEADLINE)
    assert b"HTTP" not in answered
    assert (await chat(proxy.url, authority.client(), marker())).status == 200
    assert proxy.stderr == logged


async def test_a_client_that_does_not_trust_the_certificate_is_no_line_in_the_log(proxy: Process) -> None:
    logged = proxy.stderr
    with pytest.raises(ssl.SSLCertVerificationError):
        await Connection.open(proxy.url, ssl.create_default_context())
    assert proxy.stderr == logged


async def test_megabytes_pass_both_ways(fake: FakeLLM, proxy: Process, authority: Authority) -> None:
    large = "ü" * (3 << 20)

    async def echoes(exchange: Exchange) -> None:
        await exchange.respond("200 OK", [JSON], exchange.received.body)

    fake.on("echoes", echoes)
    tls, mark = authority.client(), marker()
    body = json.dumps({"model": "echoes", "messages": [], "text": large}, ensure_ascii=False).encode()
    async with await Connection.open(proxy.url, tls) as connection:
        await connection.request("POST", CHAT, [JSON, ("x-request-id", mark)], body)
        assert (await connection.answer()).body == body


async def test_a_slow_reader_holds_the_upstream_up_and_gets_everything(
    fake: FakeLLM, proxy: Process, authority: Authority, records: Records
) -> None:
    pieces: Final = 256
    piece = b"data: " + b"p" * (64 << 10) + b"\n\n"
    sent = 0

    async def floods(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.stream_head()
        for _ in range(pieces):
            await exchange.chunk(piece)
            sent += 1
        await exchange.chunk(exchange.reply.end)
        await exchange.chunk(b"")

    fake.on("floods", floods)
    mark = marker()
    async with await Connection.open(proxy.url, authority.client()) as connection:
        body = json.dumps(completion("floods", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [JSON, ("x-request-id", mark)], body)
        head = await connection.head()
        connection.stop_reading()
        seen = -1

        async def stands_still() -> bool:
            nonlocal seen
            before, seen = seen, sent
            return before == sent > 0

        await eventually(stands_still, "the upstream has to wait", step=0.5)
        assert sent < pieces
        connection.read_on()
        received = sum([len(part) async for part in connection.parts(head)])
    assert received > pieces * len(piece)
    assert (await records.of(mark)).response_bytes == received


async def test_a_client_that_leaves_cancels_the_upstream(
    fake: FakeLLM, proxy: Process, authority: Authority, records: Records
) -> None:
    mark = marker()
    async with await Connection.open(proxy.url, authority.client()) as connection:
        body = json.dumps(completion("answer:stall", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [JSON, ("x-request-id", mark)], body)
        head = await connection.head()
        await anext(connection.parts(head))
        received = await fake.request(mark)
    await asyncio.wait_for(received.left.wait(), DEADLINE)
    assert (await records.of(mark)).outcome == "cancelled"


def _another_key(pair: Pair, other: Pair) -> None:
    shutil.copy(other.key, pair.key)


def _no_key(pair: Pair, other: Pair) -> None:
    shutil.copy(other.certificate, pair.key)


def _damaged(pair: Pair, _: Pair) -> None:
    pair.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def _gone(pair: Pair, _: Pair) -> None:
    pair.certificate.unlink()


async def test_certificates_change_without_dropping_a_stream(
    fake: FakeLLM, proxy: Process, authority: Authority, pair: Pair, records: Records
) -> None:
    """A new pair is for new connections; a wrong one is said in one line and changes nothing."""
    go_on = asyncio.Event()

    async def waits(exchange: Exchange) -> None:
        await exchange.stream_head()
        for number, event in enumerate(exchange.reply.events):
            if number == 3:
                await go_on.wait()
            await exchange.chunk(event)
        await exchange.chunk(exchange.reply.end)
        await exchange.chunk(b"")

    fake.on("waits", waits)
    tls, held = authority.client(), marker()
    async with await Connection.open(proxy.url, tls) as connection:
        body = json.dumps(completion("waits", held, stream=True)).encode()
        await connection.request("POST", CHAT, [JSON, ("x-request-id", held)], body)
        head = await connection.head()

        async def shows(name: str) -> bool:
            return await asyncio.to_thread(name_shown, proxy.url, tls) == name

        assert await shows("first")
        put(authority.sign("second"), pair)
        proxy.send(signal.SIGHUP)
        await eventually(lambda: shows("second"), "new connections meet the new certificate")

        third = authority.sign("third")
        for spoil in (_another_key, _no_key, _damaged, _gone):
            spoil(pair, third)
            lines = proxy.stderr.count("\n")
            proxy.send(signal.SIGHUP)

            async def said(before: int = lines) -> bool:
                return proxy.stderr.count("\n") > before

            await eventually(said, f"{spoil.__name__} is named")
            (line,) = proxy.stderr.splitlines()[lines:]
            assert "configuration not reloaded: WEIR_PROXY_TLS_" in line
            assert await shows("second")

        (worker,) = children(proxy.pid)
        go_on.set()
        assert b"[DONE]" in b"".join([part async for part in connection.parts(head)])
    record = await records.of(held)
    assert (record.outcome, record.completion_tokens) == ("completed", 7)

    os.kill(worker, signal.SIGKILL)

    async def serves_again() -> bool:
        try:
            return children(proxy.pid) != [worker] and await shows("second")
        except (OSError, ssl.SSLError):
            return False

    await eventually(serves_again, "a new worker shows the pair in force, not the one on the disk")
    put(third, pair)
    proxy.send(signal.SIGHUP)
    await eventually(lambda: shows("third"), "the next good pair is taken")


class TlsClient:
    """The TLS of a client whose bytes the test sends itself."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._secured = tls.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    def hello(self) -> bytes:
        """Its first words."""
        with pytest.raises(ssl.SSLWantReadError):
            self._secured.do_handshake()
        return self._outgoing.read()

    async def ask(self, connection: Connection, request: bytes) -> bytes:
        """Finish the handshake, ask, and read until the other side says that it closes."""
        said, asked = b"", False
        while True:
            try:
                if not asked:
                    self._secured.do_handshake()
                    self._secured.write(request)
                    asked = True
                if not (part := self._secured.read(65536)):
                    return said
                said += part
            except ssl.SSLWantReadError:
                await connection.send(self._outgoing.read())
                self._incoming.write(await connection.some())


V1: Final = b"PROXY TCP4 192.0.2.9 127.0.0.1 40000 8001\r\n"
V2: Final = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 9, 127, 0, 0, 1]) + b"\x9c\x40\x1f\x41"
)


async def test_the_proxy_protocol_comes_before_tls(
    fake: FakeLLM, redis_server: RedisServer, tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    put(authority.sign("balanced"), pair)
    settings = {
        "WEIR_UPSTREAM_URL": fake.url,
        "WEIR_PROXY_TLS_CERT": str(pair.certificate),
        "WEIR_PROXY_TLS_KEY": str(pair.key),
        "WEIR_PROXY_PROTOCOL": "1",
    }
    proxy = start_proxy(redis_server.url, tmp_path, settings)
    try:
        for header, cut in ((V1, 0), (V1, 5), (V2, 0), (V2, len(V2) - 1)):
            mark = marker()
            client = TlsClient(authority.client())
            async with await Connection.open(proxy.url.replace("https", "http")) as connection:
                if cut:  # the header alone, in two pieces; else all in one
                    await connection.send(header[:cut])
                await connection.send(header[cut:] + client.hello())
                body = json.dumps(completion("answer", mark)).encode()
                request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n"
                request += b"Content-Length: %d\r\n\r\n" % len(body) + body
                said = await asyncio.wait_for(client.ask(connection, request), DEADLINE)
            assert said.startswith(b"HTTP/1.1 200 ")
            assert (await fake.request(mark)).header("x-forwarded-for") == "192.0.2.9"
        async with await Connection.open(proxy.url.replace("https", "http")) as connection:
            await connection.send(TlsClient(authority.client()).hello())
            assert await connection.ended(deadline=DEADLINE) == b"", "without a PROXY header nobody comes in"
    finally:
        assert await asyncio.to_thread(proxy.stop) == 0, proxy.stderr


async def test_a_stop_does_not_wait_for_idle_clients_and_no_key_is_told(
    fake: FakeLLM, redis_server: RedisServer, tmp_path: Path, authority: Authority, pair: Pair
) -> None:
    """A client with a pool of connections reads nothing while it has nothing to ask."""
    put(authority.sign("stopped"), pair)
    settings = {
        "WEIR_UPSTREAM_URL": fake.url,
        "WEIR_PROXY_TLS_CERT": str(pair.certificate),
        "WEIR_PROXY_TLS_KEY": str(pair.key),
        "WEIR_PROXY_DRAIN": "10m",
        "WEIR_LOG_LEVEL": "debug",
    }
    proxy = start_proxy(redis_server.url, tmp_path, settings)
    try:
        with (
            socket.create_connection(address(proxy.url), timeout=DEADLINE) as plain,
            authority.client().wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
            socket.create_connection(address(proxy.url), timeout=DEADLINE),
        ):
            await asyncio.to_thread(wrapped.sendall, b"GET /v1/models HTTP/1.1\r\nHost: weir\r\n\r\n")
            assert (await asyncio.to_thread(wrapped.recv, 65536)).startswith(b"HTTP/1.1 200 ")
            assert await asyncio.to_thread(proxy.stop) == 0, "it waited for connections that ask nothing"
    finally:
        if proxy.running():
            proxy.kill9()
    assert _told(tmp_path, proxy.stderr, pair.key) == []


def _told(directory: Path, logged: str, key: Path) -> list[str]:
    """The lines of a key that are in a log or in a file of the proxy."""
    secrets = [line for line in key.read_text().splitlines() if "-----" not in line]
    assert secrets
    written = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    return [line for line in secrets if line in logged or line.encode() in written]

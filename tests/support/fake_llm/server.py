"""The listening side of the fake: connections, requests, and who left when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from tests.support.fake_llm import script
from tests.support.fake_llm.exchange import JSON_HEADERS, Exchange, Received, SenderLeftError
from tests.support.fake_llm.manners import MANNERS, Manner

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

_NEVER_PAUSE: Final = 2**30
"""Read ahead without bound, so that the sender's leaving is always seen."""


class FakeLLM:
    """OpenAI, vLLM, Anthropic and Ollama at once, on 127.0.0.1. Use as `async with FakeLLM() as fake:`."""

    def __init__(self, port: int = 0, *, pace: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.open_connections = 0
        self.resumed = 0
        """Connections that took up the TLS session of an earlier one."""
        self.url = ""
        """Where it listens, such as `http://127.0.0.1:4711`; without `/v1`."""
        self.before_body: dict[str, Manner] = {}
        """Manners by request target that answer as soon as the head is there."""
        self._port = port
        self._pace = pace
        self._tls = tls
        self._manners: dict[str, Manner] = {}
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on(self, model: str, manner: Manner) -> None:
        """Let a test's own function answer the requests for `model`."""
        self._manners[model] = manner

    def requests(self, marker: str) -> list[Received]:
        """The requests that hold `marker` in head or body, in the order of arrival."""
        needle = marker.encode()
        return [request for request in self.received if needle in request.head or needle in request.body]

    async def request(self, marker: str, deadline: float = 5.0) -> Received:
        """The one request with `marker`, as soon as all of it is there."""
        async with asyncio.timeout(deadline), self._arrived:
            found = await self._arrived.wait_for(lambda: self.requests(marker))
        assert len(found) == 1, f"{len(found)} requests hold {marker}"
        return found[0]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self._port, ssl=self._tls
        )
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve_until_cancelled(self) -> None:
        assert self._server is not None
        await self._server.serve_forever()

    def serve(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one connection's requests until it ends."""
        self.connections += 1
        self.open_connections += 1
        secured: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        self.resumed += secured is not None and bool(secured.session_reused)
        work = self._serve(connection, self.connections, reader, writer)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self,
        connection: _Connection,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            while await self._answer_next(connection, number, reader, writer):
                pass
        except (SenderLeftError, asyncio.IncompleteReadError, ConnectionError):
            return  # the sender left: `Received.left` says so
        finally:
            writer.close()
            self.open_connections -= 1

    async def _answer_next(
        self,
        connection: _Connection,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Read and answer one request; False if the connection is at its end."""
        received = Received(number, await reader.readuntil(b"\r\n\r\n"))
        self.received.append(received)
        connection.current = received
        if early := self.before_body.get(received.target):
            await early(Exchange(received, writer, self._pace))
            received.answered.set()
            return False
        await _read_body(received, reader, writer)
        async with self._arrived:
            self._arrived.notify_all()
        if reader.at_eof():
            received.left.set()
        exchange = Exchange(received, writer, self._pace)
        try:
            await self._manner(exchange)(exchange)
        finally:
            connection.current = None
            received.answered.set()
        close = (received.header("connection") or "").lower() == "close"
        return exchange.keep_alive and not close

    def _manner(self, exchange: Exchange) -> Manner:
        if exchange.family is None:
            return _not_found
        if manner := self._manners.get(exchange.model):
            return manner
        return MANNERS[exchange.model.partition(":")[2]]


class _Connection(asyncio.StreamReaderProtocol):
    """Notes that the sender left at the moment the kernel says so, whether or not anybody reads."""

    def __init__(self, fake: FakeLLM) -> None:
        self.current: Received | None = None
        reader = asyncio.StreamReader(limit=_NEVER_PAUSE)
        super().__init__(reader, lambda reader, writer: fake.serve(self, reader, writer))

    def eof_received(self) -> bool | None:
        self._sender_left()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sender_left()
        super().connection_lost(exc)

    def _sender_left(self) -> None:
        if self.current is not None:
            self.current.left.set()


async def _read_body(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if (received.header("expect") or "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if (received.header("transfer-encoding") or "").lower() == "chunked":
        while True:
            line = await reader.readuntil(b"\r\n")
            received.raw_body += line
            if not int(line, 16):
                break
            data = await reader.readexactly(int(line, 16) + 2)
            received.raw_body += data
            received.body += data[:-2]
        while line != b"\r\n":
            line = await reader.readuntil(b"\r\n")
            received.raw_body += line
            if line != b"\r\n":
                received.trailers.append(line[:-2].decode("latin-1"))
        return
    received.body = received.raw_body = await reader.readexactly(int(received.header("content-length") or 0))


async def _not_found(exchange: Exchange) -> None:
    received = exchange.received
    body = script.error(f"Unknown request URL: {received.method} {received.target}.", "invalid_request_error")
    await exchange.respond("404 Not Found", JSON_HEADERS, body)

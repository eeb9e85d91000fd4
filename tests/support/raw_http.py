"""An HTTP/1.1 client that hides nothing: what is sent are the bytes given, what came is kept to the byte."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from types import TracebackType

DEADLINE_SECONDS: Final = 30.0
_LIMIT: Final = 2**24


class IncompleteAnswerError(Exception):
    """The connection ended before the answer did; `body` is what had come."""

    def __init__(self, body: bytes) -> None:
        super().__init__(f"the answer broke off after {len(body)} bytes of its body")
        self.body = body


@dataclass(frozen=True, slots=True)
class Head:
    """A status line and headers, names as they were written."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of a header that occurs once, or None."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the body without its framing, but not decompressed."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    def header(self, name: str) -> str | None:
        return self.head.header(name)

    @property
    def request_id(self) -> str:
        value = self.header("x-weir-request-id")
        assert value, "the answer has no x-weir-request-id"
        return value

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in OpenAI's shape, which it must have exactly."""
        body = self.json()
        assert list(body) == ["error"], body
        assert set(body["error"]) == {"message", "type", "param", "code"}, body
        return body["error"]


class Connection:
    """One client connection. Use as `async with await Connection.open(url) as connection:`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.host = host
        self.trailers: list[str] = []
        """The lines after the last chunk of the last chunked answer."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str, tls: ssl.SSLContext | None = None) -> Self:
        """Connect; to https with `tls`, which must then be given."""
        parts = urlsplit(url)
        assert (parts.scheme == "https") == (tls is not None), f"{url} with {tls}"
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_LIMIT, ssl=tls)
        return cls(reader, writer, parts.netloc)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def request(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
    ) -> None:
        """Send a well-formed request; Host and Content-Length are added."""
        await self.send(request_bytes(self.host, method, target, headers, body))

    async def head(self, *, deadline: float = DEADLINE_SECONDS) -> Head:
        """The next head, an interim (1xx) one included.

        Raises:
            IncompleteAnswerError: the connection ended first.
        """
        try:
            async with asyncio.timeout(deadline):
                data = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            partial = error.partial if isinstance(error, asyncio.IncompleteReadError) else b""
            raise IncompleteAnswerError(partial) from None
        first, *lines = data[:-4].decode("latin-1").split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version in {"HTTP/1.0", "HTTP/1.1"}, first
        pairs = [line.split(":", 1) for line in lines]
        return Head(int(status), reason, tuple((name, value.strip()) for name, value in pairs))

    async def parts(self, head: Head, *, method: str = "POST") -> AsyncIterator[bytes]:
        """The body, piece by piece as it comes: chunk by chunk when it is chunked.

        Raises:
            IncompleteAnswerError: the connection ended before the body did (its `body` is left empty).
        """
        if method == "HEAD" or head.status in {204, 304} or 100 <= head.status < 200:
            return
        try:
            if head.header("transfer-encoding") is not None:
                assert head.header("transfer-encoding") == "chunked"
                assert head.header("content-length") is None, "both framings at once"
                async for part in self._chunks():
                    yield part
            elif (length := head.header("content-length")) is not None:
                if int(length):
                    yield await self._reader.readexactly(int(length))
            else:
                while part := await self._reader.read(65536):
                    yield part
        except asyncio.IncompleteReadError as error:
            raise IncompleteAnswerError(error.partial) from None
        except ConnectionError:
            raise IncompleteAnswerError(b"") from None

    async def answer(self, *, method: str = "POST", deadline: float = DEADLINE_SECONDS) -> Answer:
        """The next whole answer that is not an interim one.

        Raises:
            IncompleteAnswerError: the connection ended before the answer did.
        """
        async with asyncio.timeout(deadline):
            head = await self.head()
            while 100 <= head.status < 200:
                head = await self.head()
            body = b""
            try:
                async for part in self.parts(head, method=method):
                    body += part
            except IncompleteAnswerError as error:
                raise IncompleteAnswerError(body + error.body) from None
            return Answer(head, body)

    async def ended(self, *, deadline: float = DEADLINE_SECONDS) -> bytes:
        """Wait until the other side closes; what it sent before that."""
        async with asyncio.timeout(deadline):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        """Leave with a FIN."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return  # with TLS also: what still came was not read

    def stop_reading(self) -> None:
        """Leave what comes in the kernel's buffers."""
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    def read_on(self) -> None:
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.resume_reading()

    async def some(self) -> bytes:
        """What has come, or comes next, as it is; nothing at the end."""
        return await self._reader.read(_LIMIT)

    def half_close(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        """Leave with a RST."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            line = await self._reader.readuntil(b"\r\n")
            size = int(line[:-2], 16)
            if size == 0:
                break
            data = await self._reader.readexactly(size + 2)
            assert data.endswith(b"\r\n"), "a chunk without its end"
            yield data[:-2]
        self.trailers = []
        while (line := await self._reader.readuntil(b"\r\n")) != b"\r\n":
            self.trailers.append(line[:-2].decode("latin-1"))


def request_bytes(
    host: str, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
) -> bytes:
    """A well-formed request with its Host and, if it has a body, its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{n}: {v}" for n, v in headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


async def fetch(
    url: str,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> Answer:
    """One request on a connection of its own."""
    async with await Connection.open(url) as connection:
        await connection.request(method, target, headers, body)
        return await connection.answer(method=method)


async def post_json(
    url: str, target: str, body: Mapping[str, Any] | bytes, headers: Iterable[tuple[str, str]] = ()
) -> Answer:
    """One JSON request on a connection of its own."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await fetch(url, "POST", target, [("Content-Type", "application/json"), *headers], data)

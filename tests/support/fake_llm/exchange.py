"""One request that the fake received, and the means to answer it byte by byte."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.support.fake_llm.families import family_of, openai
from tests.support.fake_llm.reply import EVENTS, Asked, Reply, form_fields
from tests.support.fake_llm.script import SCRIPTS, Script

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON_HEADERS: Final = (("Content-Type", "application/json"),)
_STREAMED: Final = (("Cache-Control", "no-cache"), ("Transfer-Encoding", "chunked"))
STREAM_HEADERS: Final = (("Content-Type", EVENTS), *_STREAMED)
_DATE: Final = ("Date", "Sat, 21 Nov 2026 02:14:14 GMT")


@dataclass(slots=True, eq=False)
class Received:
    """A request as it arrived: raw bytes, and what became of it."""

    connection: int
    """Number of the connection it came on, counted from 1."""
    head: bytes
    raw_body: bytes = b""
    """The body as it was framed, chunk sizes and all."""
    body: bytes = b""
    trailers: list[str] = field(default_factory=list[str])
    """The lines after the last chunk."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the sender closed or reset its connection before the answer was complete."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the answer, however bad, was written."""

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names as they were written, values without the white space around them."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = [line.split(":", 1) for line in lines if line]
        return [(name, value.strip()) for name, value in pairs]

    def header(self, name: str) -> str | None:
        """The value of a header that occurs once, or None."""
        values = [value for found, value in self.headers if found.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def json(self) -> dict[str, Any]:
        """The body, which should be a JSON object; {} if it is not."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - any JSON


class SenderLeftError(Exception):
    """The other side of the connection is gone; there is nobody to answer."""


class Exchange:
    """The fake's side of one request. A manner calls these; nothing is written that it does not write."""

    def __init__(self, received: Received, writer: asyncio.StreamWriter, pace: float) -> None:
        self.received = received
        self.pace = pace
        self.keep_alive = True
        self._writer = writer
        form = (received.header("content-type") or "").startswith("multipart/form-data")
        fields = form_fields(received.body) if form else received.json()
        path = received.target.partition("?")[0]
        self.model = str(fields.get("model", fields.get("name", "answer")))
        self.script: Script = SCRIPTS.get(self.model.partition(":")[0], SCRIPTS["answer"])
        self.family = family_of(received.method, path)
        self._asked = Asked(path, fields, self.model, self.script)
        self._reply: Reply | None = None

    @property
    def reply(self) -> Reply:
        """What a well-behaved server would answer here; whatever the path, as chat does if it is unknown."""
        if self._reply is None:
            self._reply = (self.family or openai.chat_completions)(self._asked)
        return self._reply

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.reply.streams

    @property
    def include_usage(self) -> bool:
        """Whether usage is asked for in a stream of OpenAI's completions."""
        return openai.include_usage(self._asked)

    async def write(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            SenderLeftError: there is nobody to read them.
        """
        if self.received.left.is_set() or self._writer.is_closing():
            raise SenderLeftError
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError:
            raise SenderLeftError from None

    async def head(self, status: str, headers: Iterable[tuple[str, str]], version: str = "HTTP/1.1") -> None:
        """Send a status line and headers, the usual ones of a provider included."""
        lines = [f"{version} {status}", *(f"{n}: {v}" for n, v in (_DATE, *self.reply.headers, *headers))]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def respond(self, status: str, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Send a whole answer with its Content-Length in one write."""
        lines = [
            f"HTTP/1.1 {status}",
            *(f"{n}: {v}" for n, v in (_DATE, *self.reply.headers, *headers)),
            f"Content-Length: {len(body)}",
        ]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def respond_plain(self, headers: Iterable[tuple[str, str]] = (), body: bytes | None = None) -> None:
        """Send the whole good answer, or another body in its place, with more headers."""
        typed = ("Content-Type", self.reply.plain_type)
        await self.respond("200 OK", [typed, *headers], self.reply.plain if body is None else body)

    async def stream_head(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send the head of a streamed answer, with more headers."""
        await self.head("200 OK", [("Content-Type", self.reply.stream_type), *_STREAMED, *headers])

    async def chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body; empty data ends the body."""
        await self.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def pause(self) -> None:
        """Let the pace of the model pass, if it has one."""
        if self.pace:
            await asyncio.sleep(self.pace)

    async def until_left(self) -> None:
        """Do nothing until the sender gives up."""
        await self.received.left.wait()
        self.keep_alive = False

    def reset(self) -> None:
        """End the connection with a TCP RST."""
        connection: socket.socket = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        self.keep_alive = False

    def finish(self) -> None:
        """End the connection with a TCP FIN after what was written."""
        self._writer.close()
        self.keep_alive = False

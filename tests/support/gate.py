"""A pass-through in front of a server that counts what clients ask and stops somebody at the Nth question.

It understands just enough of Redis' and PostgreSQL's protocols to know where a question and where an answer
ends. `before` stops when the question has come and has not been passed on; `after` when the answer has come
and has not been passed back.
"""

from __future__ import annotations

import asyncio
import struct
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

When = Literal["before", "after"]

_READ: Final = 1 << 16


class Question(Enum):
    """What a message of a client is."""

    ASKS = "counted, and has an answer of its own"
    GOES_ON = "counted, and is answered with the question before it"
    UNCOUNTED = "part of another"


class Dialect(Protocol):
    """Where messages end, on one connection."""

    def question(self, data: bytes) -> tuple[int, Question]:
        """Length of the first whole message of a client, 0 if there is none, and what it is."""
        ...

    def answer(self, data: bytes) -> tuple[int, bool]:
        """Length of the first whole message of the server, 0 if there is none; whether it ends an answer."""
        ...


class RedisDialect:
    """RESP: every command is one question, and has one answer."""

    def question(self, data: bytes) -> tuple[int, Question]:
        return _resp_end(data, 0), Question.ASKS

    def answer(self, data: bytes) -> tuple[int, bool]:
        return _resp_end(data, 0), True


class PostgresDialect:
    """Counted are simple queries, the Syncs that end extended ones, and the end of what is copied in."""

    _KINDS: Final = {b"Q": Question.ASKS, b"S": Question.ASKS, b"c": Question.GOES_ON}
    _STARTUP: Final = struct.Struct(">II")
    _MESSAGE: Final = struct.Struct(">cI")
    _TLS_WANTED: Final = 80877103

    def __init__(self) -> None:
        self._started = False
        self._tls_answers = 0

    def question(self, data: bytes) -> tuple[int, Question]:
        if not self._started:
            if len(data) < self._STARTUP.size:
                return 0, Question.UNCOUNTED
            length, code = self._STARTUP.unpack_from(data)
            if len(data) < length:
                return 0, Question.UNCOUNTED
            if code == self._TLS_WANTED:
                self._tls_answers += 1
            else:
                self._started = True
            return length, Question.UNCOUNTED
        kind, length = self._head(data)
        return length, self._KINDS.get(kind, Question.UNCOUNTED)

    def answer(self, data: bytes) -> tuple[int, bool]:
        if self._tls_answers and data:
            self._tls_answers -= 1
            return 1, False
        kind, length = self._head(data)
        return length, kind == b"Z"

    def _head(self, data: bytes) -> tuple[bytes, int]:
        if len(data) < self._MESSAGE.size:
            return b"", 0
        kind, length = self._MESSAGE.unpack_from(data)
        return kind, length + 1 if len(data) > length else 0


class Gate:
    """Use as `async with Gate(port, RedisDialect) as gate:`; clients connect to `gate.port`."""

    def __init__(self, port: int, dialect: Callable[[], Dialect]) -> None:
        self.port = 0
        self.asked = 0
        """Questions since it was armed."""
        self._behind = port
        self._dialect = dialect
        self._at = 0
        self._when: When = "before"
        self._strike: Callable[[], None] = lambda: None
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    def arm(self, at: int, when: When, strike: Callable[[], None]) -> None:
        """Call `strike` once, at the question of this number from now on."""
        self.asked = 0
        self._at, self._when, self._strike = at, when, strike

    def disarm(self) -> None:
        self._at = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            behind, onward = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            writer.close()
            self._passing.discard(task)
            return
        passage = _Passage(self, self._dialect())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(passage.ask(reader, onward))
                group.create_task(passage.answer(behind, writer))
        except* (_OverError, ConnectionError):
            pass
        finally:
            writer.close()
            onward.close()
            self._passing.discard(task)

    def counts(self) -> bool:
        """Another question: whether it is the one to stop at."""
        self.asked += 1
        return self.asked == self._at

    @property
    def stops_before(self) -> bool:
        return self._when == "before"

    def strike(self) -> None:
        self._at = 0
        self._strike()


class _OverError(Exception):
    """This connection has ended."""


class _Passage:
    """One connection through the gate."""

    def __init__(self, gate: Gate, dialect: Dialect) -> None:
        self._gate = gate
        self._dialect = dialect
        self._asked = 0
        self._answered = 0
        self._stop_after: int | None = None
        """The answer of this number is not passed back."""

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending = b""
        while data := await reader.read(_READ):
            pending += data
            while True:
                length, question = self._dialect.question(pending)
                if not length:
                    break
                if question is not Question.UNCOUNTED:
                    self._count(question)
                writer.write(pending[:length])
                pending = pending[length:]
            await writer.drain()
        raise _OverError

    def _count(self, question: Question) -> None:
        self._asked += question is Question.ASKS
        if self._gate.counts():
            if self._gate.stops_before:
                self._gate.strike()
                raise _OverError
            self._stop_after = self._asked

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pending = b""
        while data := await reader.read(_READ):
            pending += data
            while True:
                length, ends = self._dialect.answer(pending)
                if not length:
                    break
                self._answered += ends
                if ends and self._stop_after is not None and self._is_the_one():
                    self._gate.strike()
                    raise _OverError
                writer.write(pending[:length])
                pending = pending[length:]
            await writer.drain()
        raise _OverError

    def _is_the_one(self) -> bool:
        assert self._stop_after is not None
        return self._answered >= self._stop_after


def _resp_end(data: bytes, at: int) -> int:
    """Where the value that begins at `at` ends; 0 if it is not whole."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return 0
    kind, text = data[at : at + 1], data[at + 1 : line]
    end = line + 2
    if kind in {b"$", b"=", b"!"}:
        size = int(text)
        end += size + 2 if size >= 0 else 0
        return end if end <= len(data) else 0
    if kind in {b"*", b"~", b">", b"%"}:
        for _ in range(int(text) * (2 if kind == b"%" else 1)):
            end = _resp_end(data, end)
            if not end:
                return 0
    return end

"""The writing side of the stream: ships records to Redis in pipelined batches, every reply checked."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio.connection import DefaultParser
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from weir.events.redis_url import connections
from weir.events.settlement import Settlement, look
from weir.events.stream import FIELD, request_streams, witness_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import AbstractConnection

REPLY_TIMEOUT_SECONDS: Final = 5.0
_ELSEWHERE: Final = (AskError, ClusterDownError, MasterDownError, MovedError, ReadOnlyError)
"""Refusals that mean: this is not the server to ask."""
_REFUSED: Final = (AuthenticationError, NoPermissionError)


class StreamUnavailableError(Exception):
    """Redis did not confirm all of a batch: away, refusing or full. What is `left` has to be sent again."""

    def __init__(self, reason: str, left: Sequence[bytes] = ()) -> None:
        super().__init__(reason)
        self.left = left


class StreamWriter:
    """The one connection of a proxy over which records go, one to each stream. For one task only.

    redis-py's pipeline builds each command from its parts and reads each reply through several layers; here
    the command is always the same, so its bytes are joined once, sent over redis-py's connection, which
    brings AUTH and TLS, and the replies are taken from its parser.
    """

    def __init__(self, url: str, *, shards: int = 1) -> None:
        """`shards`: over how many streams records are spread; all services must agree."""
        self._lines = [_Line(url, stream) for stream in request_streams(shards)]
        self._turn = 0

    @property
    def server(self) -> str:
        """Which Redis answered last, with which data; empty before the first time.

        Another value means that what was confirmed may be lost: another process, another history of
        replication, or a witness that is gone because the data are.
        """
        identities = [line.identity for line in self._lines]
        if not any(identities):
            return ""
        return hashlib.blake2b("|".join(identities).encode(), digest_size=16).hexdigest()

    async def write(self, payloads: Sequence[bytes]) -> None:
        """Add all payloads to a stream, in order. When it returns, each has been confirmed.

        Raises:
            StreamUnavailableError: at least one was not confirmed; it has those, in order. Some of them may
                have been stored all the same.
        """
        line = self._lines[self._turn]
        self._turn = (self._turn + 1) % len(self._lines)
        await line.write(payloads)

    @property
    def stored_until(self) -> float:
        """All that was confirmed before this moment of the monotonic clock is stored, by the last check."""
        return min(line.settlement.until for line in self._lines)

    async def check(self) -> None:
        """See whether Redis is there, whether it is the one it was, and how far its readers have come.

        Raises:
            StreamUnavailableError: it is not there.
        """
        for line in self._lines:
            await line.check()

    async def close(self) -> None:
        for line in self._lines:
            await line.leave()


class _Line:
    """The connection to the server of one stream."""

    def __init__(self, url: str, stream: str) -> None:
        self._connections = connections(
            url,
            socket_connect_timeout=REPLY_TIMEOUT_SECONDS,
            socket_timeout=REPLY_TIMEOUT_SECONDS,
            parser_class=self._make_parser,
        )
        self._stream = stream
        self._prefix = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$%d\r\n%b\r\n$" % (
            len(stream),
            stream.encode(),
            len(FIELD),
            FIELD.encode(),
        )
        self._connection: AbstractConnection | None = None
        self._parser: Any = None
        self._server = ""
        self._witness = ""
        self.settlement = Settlement()

    @property
    def identity(self) -> str:
        return f"{self._server} {self._witness}" if self._server else ""

    async def write(self, payloads: Sequence[bytes]) -> None:
        left = list(payloads)
        if (refusal := await self._exchange(self._commands(payloads), left)) is not None:
            raise StreamUnavailableError(refusal, left)

    async def check(self) -> None:
        await self._exchange(None, [])

    async def leave(self) -> None:
        """Close, and look for the server anew the next time."""
        await self._drop()
        await self._connections.close()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    def _commands(self, payloads: Sequence[bytes]) -> bytes:
        prefix = self._prefix
        return b"".join([b"%b%d\r\n%b\r\n" % (prefix, len(payload), payload) for payload in payloads])

    async def _exchange(self, commands: bytes | None, left: list[bytes]) -> str | None:
        """Send one command for each of `left` and take those out that are confirmed: why others are not.

        Raises:
            StreamUnavailableError: the connection is gone.
        """
        refused: list[bytes] = []
        confirmed = 0
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_SECONDS):
                connection = await self._connected()
                if commands is None:
                    await self._look_round(connection)
                    return None
                await connection.send_packed_command(commands, check_health=False)
                refusal: ResponseError | None = None
                for payload in left:
                    reply = await self._parser.read_response()
                    confirmed += 1
                    if isinstance(reply, ResponseError):
                        refusal = reply
                        refused.append(payload)
        except (RedisError, OSError, TimeoutError) as error:
            left[:confirmed] = refused
            await self.leave()
            raise StreamUnavailableError(_reason(error), left) from None
        except asyncio.CancelledError:
            # An answer may still be on its way: this connection must never be read again.
            await self._drop()
            raise
        left[:] = refused
        if refusal is None:
            return None
        if isinstance(refusal, _ELSEWHERE):
            await self.leave()
        return _reason(refusal)

    async def _connected(self) -> AbstractConnection:
        if self._connection is not None:
            return self._connection
        connection = await self._connections.to(self._stream)
        self._connection = connection
        await connection.connect()
        server = _server(await self._ask(connection, "INFO", "server"), "run_id")
        history = _server(await self._ask(connection, "INFO", "replication"), "master_replid")
        self._server = f"{server} {history}"
        await self._look_at_witness(connection)
        self.settlement.forget()
        return connection

    async def _look_at_witness(self, connection: AbstractConnection) -> None:
        """A random word that lies beside the stream: if it is another, the data were lost (FLUSHALL)."""
        key = witness_key(self._stream)
        witness = await self._ask(connection, "GET", key)
        if witness is None:
            await self._ask(connection, "SET", key, uuid.uuid4().hex, "NX")
            witness = await self._ask(connection, "GET", key)
        self._witness = cast("bytes", witness or b"").decode()

    async def _look_round(self, connection: AbstractConnection) -> None:
        """The witness comes last: if it is the same, nothing was emptied while the readers were looked at.

        Where there are none yet, or they may not be asked for, nothing is known to be stored.
        """
        moment, known, found = time.monotonic(), self._witness, None
        with suppress(ResponseError):
            found = await look(partial(self._ask, connection), self._stream)
        await self._look_at_witness(connection)
        if self._witness != known:
            self.settlement.forget()
        elif found is not None:
            self.settlement.saw(moment, *found)

    async def _ask(self, connection: AbstractConnection, *command: str) -> object:
        await connection.send_command(*command, check_health=False)
        return cast("object", await connection.read_response())

    def _make_parser(self, socket_read_size: int) -> Any:
        self._parser = DefaultParser(socket_read_size=socket_read_size)
        return self._parser


def _reason(error: BaseException) -> str:
    """What is wrong, in words that hold no secret."""
    text = str(error)
    if isinstance(error, _REFUSED) or text.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return f"it refuses the user or password in REDIS_URL, or what they may do: {text}"
    if isinstance(error, OutOfMemoryError):
        return f"it is full: {text}"
    if isinstance(error, (AskError, MovedError)):
        return f"the stream is on another node now: {text}"
    if isinstance(error, MasterNotFoundError):
        return f"the Sentinels name no master: {text}"
    return text or type(error).__name__


def _server(info: object, wanted: str) -> str:
    text = info.decode() if isinstance(info, bytes) else str(info)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == wanted:
            return value
    return ""

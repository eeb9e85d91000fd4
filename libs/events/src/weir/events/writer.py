"""The writing side of the stream: ships records to Redis in pipelined batches, every reply checked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import RedisError, ResponseError

from weir.events.stream import FIELD, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX: Final = b"*5\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$%d\r\n%b\r\n$" % (
    len(REQUESTS),
    REQUESTS.encode(),
    len(FIELD),
    FIELD.encode(),
)
_PING: Final = b"*1\r\n$4\r\nPING\r\n"
REPLY_TIMEOUT_SECONDS: Final = 5.0


class StreamUnavailableError(Exception):
    """Redis did not confirm a batch: away, refusing or full. The batch has to be sent again."""


class StreamWriter:
    """The one connection of a proxy over which records go. It must be used by one task only.

    redis-py's pipeline builds each command from its parts; here the command is always the same, so its bytes
    are joined once and sent over redis-py's connection, which brings AUTH, TLS and timeouts.
    """

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool.from_url(
            url, socket_connect_timeout=REPLY_TIMEOUT_SECONDS, socket_timeout=REPLY_TIMEOUT_SECONDS
        )
        self._connection: AbstractConnection | None = None
        self._run_id: str | None = None
        self.server_changed = False
        """Set when the server is not the one that confirmed earlier batches; the caller resets it."""

    async def write(self, payloads: Sequence[bytes]) -> None:
        """Add all payloads to the stream, in order. When it returns, each has been confirmed.

        Raises:
            StreamUnavailableError: at least one was not confirmed; some may have been stored all the same.
        """
        await self._exchange(b"".join(map(_command, payloads)), replies=len(payloads))

    async def check(self) -> None:
        """See whether Redis is there.

        Raises:
            StreamUnavailableError: it is not.
        """
        await self._exchange(_PING, replies=1)

    async def _exchange(self, commands: bytes, *, replies: int) -> None:
        try:
            connection = await self._connected()
            await connection.send_packed_command(commands)
            refusal: ResponseError | None = None
            for _ in range(replies):
                try:
                    await connection.read_response()
                except ResponseError as error:
                    refusal = error
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise StreamUnavailableError(str(error) or type(error).__name__) from None
        except asyncio.CancelledError:
            # An answer may still be on its way: this connection must never be read again.
            await self.close()
            raise
        if refusal is not None:
            raise StreamUnavailableError(str(refusal))

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _connected(self) -> AbstractConnection:
        if self._connection is not None:
            return self._connection
        connection: AbstractConnection = self._pool.make_connection()
        self._connection = connection
        await connection.connect()
        await connection.send_command("INFO", "server")
        run_id = _run_id(cast("object", await connection.read_response()))
        self.server_changed = self.server_changed or self._run_id not in {None, run_id}
        self._run_id = run_id
        return connection


def _command(payload: bytes) -> bytes:
    return b"%b%d\r\n%b\r\n" % (_PREFIX, len(payload), payload)


def _run_id(info: object) -> str | None:
    text = info.decode() if isinstance(info, bytes) else str(info)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "run_id":
            return value
    return None

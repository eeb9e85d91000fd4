"""The upstream that does what the table says, and answers well whoever asks for nothing of it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import TYPE_CHECKING, Final, Self

from tests.support.crooked.misdeed import PLAIN, Do, whole
from tests.support.recording_upstream import next_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.support.crooked.misdeed import Misdeed

_CASE: Final = re.compile(rb'"user": ?"misdeed-(\d+)"')
_GOOD: Final = re.compile(rb'"user": ?"(good-[0-9a-f]+)"')


def good_body(name: str) -> bytes:
    """What a well-behaved answer to this user is: nobody else gets the same."""
    return PLAIN[:-1] + b',"for":"' + name.encode() + b'"}'


class CrookedUpstream:
    """Use as `async with`. A request names its misdeed, or its good answer, by the body's `user`."""

    def __init__(self, misdeeds: Sequence[Misdeed]) -> None:
        self._misdeeds = misdeeds
        self.answered = [asyncio.Event() for _ in misdeeds]
        """Set when the client has its answer, for those who wait for that."""
        self.ended = [asyncio.Event() for _ in misdeeds]
        """Set when the proxy has closed the connection over which the misdeed was done."""
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        numbers: list[int] = []
        rest = b""
        try:
            while data := await reader.read(2**20):
                rest += data
                while (found := next_request(rest)) is not None:
                    request, rest = found
                    await self._answer(request, writer, numbers)
        except ConnectionError:
            pass
        finally:
            self._serving.discard(task)
            for number in numbers:
                self.ended[number].set()
            writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter, numbers: list[int]) -> None:
        asked = _CASE.search(request)
        if asked is None:
            name = _GOOD.search(request)
            assert name is not None, request
            writer.write(whole(good_body(name[1].decode())))
            return
        number = int(asked[1])
        numbers.append(number)
        for step in self._misdeeds[number].steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
                await asyncio.sleep(0)
            else:
                await self._do(step, number, writer)

    async def _do(self, step: Do, number: int, writer: asyncio.StreamWriter) -> None:
        if step is Do.FIN:
            writer.write_eof()
        elif step is Do.RESET:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif step is Do.WHEN_ANSWERED:
            await self.answered[number].wait()

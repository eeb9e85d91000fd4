"""A wire between a client and a server that breaks on demand: TCP connections, reset in the middle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class CutWire:
    """Relays to a port of this machine. Armed, it cuts after so many more bytes from the clients, once."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server
        self._open: set[asyncio.StreamWriter] = set()
        self._left: int | None = None
        self.sent = 0
        """Bytes from clients so far."""
        self.cuts = 0

    @property
    def port(self) -> int:
        return self._server.sockets[0].getsockname()[1]

    def arm(self, after: int) -> None:
        """Cut every connection when clients have sent so many more bytes."""
        self._left = after

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._cut()
        await self._server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer, up_writer}
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, up_writer, counted=True))
                group.create_task(self._pump(up_reader, writer, counted=False))
        except* OSError:
            pass
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        while data := await reader.read(65536):
            if counted:
                self.sent += len(data)
                if self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        writer.write(data[: self._left])
                        self._left = None
                        self.cuts += 1
                        self._cut()
                        return
            writer.write(data)
            await writer.drain()
        writer.close()

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

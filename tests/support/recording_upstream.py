"""A model server that writes down each request to the byte, and takes nothing but the framing Weir writes.

Only the `traceparent`, which is another one each time, is looked at and left out.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_BODY: Final = b'{"object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1}}'
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
_CHUNKED: Final = b"\r\nTransfer-Encoding: chunked\r\n"
_TRACE: Final = re.compile(rb"\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3](?=\r\n)")
_LAST: Final = re.compile(rb"\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n")


def next_request(data: bytes) -> tuple[bytes, bytes] | None:
    """The first request in what a connection brought, and the rest; None while it is not whole."""
    end = data.find(_END)
    if end < 0:
        return None
    end += len(_END)
    head, traces = _TRACE.subn(b"", data[:end])
    assert traces == 1, head
    data, end = head + data[end:], len(head)
    lengths = _LENGTH.findall(head)
    if _CHUNKED in head:
        assert not lengths, head
        last = _LAST.search(data, end - 2)
        if last is None:
            return None
        end = last.end()
    elif lengths:
        assert len(lengths) == 1, head
        end += int(lengths[0])
    return (data[:end], data[end:]) if len(data) >= end else None


class RecordingUpstream:
    """Answers every request with the same small completion. Use as `async with`."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        """As they came, whole, of all connections."""
        self.rests: dict[object, bytes] = {}
        """What each connection brought that is not a whole request."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        host, port = self._server.sockets[0].getsockname()
        self.authority = f"{host}:{port}".encode()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    def with_mark(self, mark: bytes) -> list[bytes]:
        """The requests in which this word stands."""
        return [request for request in self.requests if mark in request]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        try:
            while data := await reader.read(2**20):
                rest += data
                while (found := next_request(rest)) is not None:
                    request, rest = found
                    self.requests.append(request)
                    writer.write(ANSWER)
                self.rests[writer] = rest
        except ConnectionError:
            return
        finally:
            writer.close()

"""What a client sends, cut into requests. Strict: what two readers could understand differently is refused.

Written here rather than taken from llhttp, which takes `RTSP/1.0` for a version of HTTP, several spaces for
one, and bare line feeds between requests, and does not say where it stands. Tests hold it against llhttp
and h11.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final, Protocol

from weir.proxy.wire import refusals
from weir.proxy.wire.chunks import ChunkReader
from weir.proxy.wire.fields import END, EOL, check_begun, read_fields
from weir.proxy.wire.framing import BadRequestError, read_request_head

if TYPE_CHECKING:
    from weir.proxy.exchange import RequestHead
    from weir.proxy.wire.framing import Headers, HeadLimits

logger = logging.getLogger(__name__)

_LINE: Final = re.compile(rb"([A-Z]{1,24}) ([!\"$-~]+) HTTP/([0-9]\.[0-9])")
_LINE_BEGUN: Final = re.compile(rb"\r?|[A-Z]{1,24}+(?: (?:[!\"$-~]++(?: [HTP/0-9.]{0,8}+\r?)?)?)?")
_AROUND_TARGET: Final = 24 + len(b"  HTTP/1.1\r")
_AROUND_HEADER: Final = len(b"\r\n: \r")


class Sink(Protocol):
    """Who hears of the requests."""

    def request_began(self, head: RequestHead) -> None: ...

    def body_came(self, data: bytes) -> None: ...

    def trailers_came(self, fields: Headers) -> None: ...

    def request_ended(self) -> None: ...


class RequestParser:
    """The requests of one connection, one after the other."""

    def __init__(self, sink: Sink, limits: HeadLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._held = bytearray()
        """What came of a head that is not complete."""
        self._left = 0
        """Bytes that are missing of a body which comes by its length."""
        self._chunks: ChunkReader | None = None

    @property
    def is_in_head(self) -> bool:
        """A head has begun and is not complete."""
        return bool(self._held)

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            BadRequestError: this is no request, or not one we take; nothing after it can be read.
        """
        rest: bytes | None = data
        try:
            while rest:
                if self._left:
                    rest = self._read_length(rest)
                elif self._chunks is not None:
                    rest = self._read_chunks(self._chunks, rest)
                else:
                    rest = self._read_head(rest)
        except BadRequestError:
            raise
        except Exception:
            logger.exception("request failed")
            raise refusals.failed() from None

    def _read_length(self, data: bytes) -> bytes:
        body, rest = data[: self._left], data[self._left :]
        self._left -= len(body)
        self._sink.body_came(body)
        if not self._left:
            self._sink.request_ended()
        return rest

    def _read_chunks(self, chunks: ChunkReader, data: bytes) -> bytes | None:
        body, rest = chunks.feed(data)
        if body:
            self._sink.body_came(body)
        if rest is not None:
            self._chunks = None
            if chunks.trailers:
                self._sink.trailers_came(chunks.trailers)
            self._sink.request_ended()
        return rest

    def _read_head(self, data: bytes) -> bytes | None:
        held = self._held
        before = len(held)
        if before:
            held += data
            end = held.find(END, max(before - len(END) + 1, 0))
        else:
            end = data.find(END)
        if end < 0:
            if not before:
                held += data
            self._check_begun(before)
            return None
        if before:
            data = bytes(held)
            held.clear()
        head = self._head(data, end + len(EOL))
        if head.chunked:
            self._chunks = ChunkReader(self._limits)
        else:
            self._left = head.content_length or 0
        self._sink.request_began(head)
        if not head.has_body:
            self._sink.request_ended()
        return data[end + len(END) :]

    def _head(self, data: bytes, end: int) -> RequestHead:
        """The head with which the data begin and whose last line ends at `end`."""
        limits = self._limits
        begin = _begin(data)
        line_end = data.find(EOL, begin)
        method, target, version = self._line(data, begin, line_end)
        size = end - line_end - len(EOL)
        if size > limits.head_bytes:
            raise refusals.head_too_large()
        headers = read_fields(data[line_end + len(EOL) : end])
        if len(headers) > limits.fields or (
            size > limits.header_bytes
            and any(len(name) + len(value) > limits.header_bytes for name, _, value in headers)
        ):
            raise refusals.head_too_large()
        return read_request_head(method, target, version, headers)

    def _line(self, data: bytes | bytearray, begin: int, end: int) -> tuple[bytes, bytes, str]:
        """The first line: method, target and version."""
        line = _LINE.fullmatch(data, begin, end)
        limit = self._limits.target_bytes
        if end - begin > limit + _AROUND_TARGET or (line is not None and len(line[2]) > limit):
            raise refusals.target_too_long()
        if line is None:
            raise refusals.malformed("The request is not well-formed HTTP.")
        if line[1] == b"CONNECT":
            raise refusals.malformed("Tunnels are not opened here.")
        return line[1], line[2], line[3].decode()

    def _check_begun(self, before: int) -> None:
        """Of a head that is not complete, refuse what could never become right.

        `before`: how much of it was looked at before.
        """
        held, limits = self._held, self._limits
        check_begun(held, before)
        begin = _begin(held)
        line_end = held.find(EOL, begin)
        if line_end < 0:
            if len(held) - begin > limits.target_bytes + _AROUND_TARGET:
                raise refusals.target_too_long()
            if _LINE_BEGUN.fullmatch(held, begin) is None:
                raise refusals.malformed("The request is not well-formed HTTP.")
            return
        if line_end >= before - 1:
            self._line(held, begin, line_end)
        if (
            len(held) - line_end > limits.head_bytes
            or len(held) - held.rfind(EOL) > limits.header_bytes + _AROUND_HEADER
        ):
            raise refusals.head_too_large()


def _begin(data: bytes | bytearray) -> int:
    """Where the first line begins: an empty one may stand before it (RFC 9112 section 2.2)."""
    return len(EOL) if data.startswith(EOL) else 0

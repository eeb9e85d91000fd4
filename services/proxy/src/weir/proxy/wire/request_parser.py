"""What a client sends, cut into requests by llhttp, within limits that llhttp does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import httptools

from weir.proxy.wire import refusals
from weir.proxy.wire.framing import read_request_head

if TYPE_CHECKING:
    from weir.proxy.exchange import RequestHead
    from weir.proxy.wire.framing import Headers, HeadLimits

_CHUNK_OVERHEAD: Final = 8
"""Bytes of framing that chunks may have for each byte in them; a chunk of one byte has five."""


class Sink(Protocol):
    """Who hears of the requests."""

    def request_began(self, head: RequestHead) -> None: ...

    def body_came(self, data: bytes) -> None: ...

    def request_ended(self) -> None: ...


class RequestParser:
    """The requests of one connection, one after the other."""

    def __init__(self, sink: Sink, limits: HeadLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser: Any = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: Headers = []
        self._header_bytes = 0
        self._head_bytes = 0
        """What came of a head that is not complete."""
        self._head: RequestHead | None = None
        """Of the request whose body is being read."""
        self._read_bytes = 0
        self._body_bytes = 0

    @property
    def is_in_head(self) -> bool:
        """A head has begun and is not complete."""
        return self._head_bytes > 0

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            BadRequestError: this is no request, or not one we take; nothing after it can be read.
        """
        head = self._head
        if head is None:
            self._head_bytes += len(data)
        try:
            stop = self._parse(data)
            if stop is not None:
                self._decline(memoryview(data)[stop:])
        except httptools.HttpParserCallbackError as error:
            raise refusals.cause(error) from None
        except httptools.HttpParserError:
            raise refusals.malformed("The request is not well-formed HTTP.") from None
        if self._head is head and (head is not None or self._head_bytes):
            self._check_size(head, len(data))

    def _parse(self, data: bytes | memoryview) -> int | None:
        """Feed llhttp. Where the client offers to speak another protocol, the place after that head."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return cast("int", offer.args[0])
        return None

    def _decline(self, rest: memoryview) -> None:
        """Go on after an offer to speak another protocol, such as HTTP/2 in clear, which is not taken up.

        To llhttp such a request ends with its head, body or not; so it gets the head again without the offer.
        """
        stop: int | None = 0
        while stop is not None:
            rest = rest[stop:]
            headers = [header for header in self._headers if header[0] != b"upgrade"]
            lines = b"".join(b"%b: %b\r\n" % (name, value) for _, name, value in headers)
            version = self._parser.get_http_version().encode()
            head = b"%b %b HTTP/%b\r\n%b\r\n" % (self._parser.get_method(), self._target, version, lines)
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(head)
            stop = self._parse(rest)

    def _check_size(self, head: RequestHead | None, fed: int) -> None:
        """What llhttp keeps to itself, such as a header without an end, must have one."""
        if head is None:
            if self._head_bytes > self._limits.head_bytes:
                raise refusals.head_too_large()
        elif head.chunked:
            self._read_bytes += fed
            if self._read_bytes - _CHUNK_OVERHEAD * self._body_bytes > self._limits.head_bytes:
                raise refusals.malformed("There is too little in the chunks of the request's body.")

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            raise refusals.target_too_long()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:
            return  # a trailer of a chunked body: nothing we forward needs it
        self._headers.append((name.lower(), name, value))
        size = len(name) + len(value)
        self._header_bytes += size
        limits = self._limits
        if (
            size > limits.header_bytes
            or self._header_bytes > limits.head_bytes
            or len(self._headers) > limits.fields
        ):
            raise refusals.head_too_large()

    def on_headers_complete(self) -> None:
        parser = self._parser
        head = read_request_head(parser.get_method(), self._target, parser.get_http_version(), self._headers)
        if parser.should_upgrade():
            if head.method == b"CONNECT":
                raise refusals.malformed("Tunnels are not opened here.")
            return  # it is read again without the offer
        self._head = head
        self._head_bytes = self._read_bytes = self._body_bytes = 0
        self._sink.request_began(head)

    def on_body(self, body: bytes) -> None:
        if self._head is not None:
            self._body_bytes += len(body)
            self._sink.body_came(body)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._head = None
            self._sink.request_ended()

"""The upstream's side: HTTP/1.1 client connections, kept alive and pooled."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import httptools

from weir.proxy.wire.framing import BadResponseError, read_response_head
from weir.proxy.wire.known_answers import KnownAnswers
from weir.proxy.wire.whole_chunks import last_chunks, whole_chunks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from weir.proxy.upstream import Address
    from weir.proxy.wire.framing import Headers, ResponseHead

_MAX_INFORMATIONAL: Final = 8
_MAX_HEAD_BYTES: Final = 64 << 10
_MAX_FIELDS: Final = 200
_CONTINUE: Final = range(100, 200)
_PROTOCOL: Final = b"HTTP/1."
_CHUNKS_FOLLOW: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
"""Tells the parser where in an answer it is."""
# Who reads the body of an answer:
_PARSED: Final = 0
_LENGTH: Final = 1
_CHUNKS: Final = 2
"""We do, as long as each read has whole chunks."""


class Listener(Protocol):
    """Who gets what an upstream connection receives for one request."""

    def trailed(self, fields: Headers) -> None:
        """The response ends with these trailers; its end is told next."""
        ...

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        """What one read brought: the head (once), a piece of the body, perhaps the end."""
        ...

    def broken(self, reason: str, *, garbage: bool) -> None:
        """The connection ended, or sent what cannot be trusted, before the response was complete."""
        ...

    def upstream_paused(self) -> None:
        """The upstream does not take the request as fast as it comes."""
        ...

    def upstream_resumed(self) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """One connection to one upstream; at most one request at a time."""

    __slots__ = (
        *("_barren_bytes", "_complete", "_head", "_head_bytes", "_headers", "_informational", "_is_sent"),
        *("_keep_alive", "_left", "_listener", "_lost", "_new_head", "_parser", "_paused", "_pieces"),
        *(
            "_pool",
            "_read",
            "_reason",
            "_told_bytes",
            "_trailers",
            "_transport",
            "_way",
            "idle_since",
            "on_event",
            "uses",
        ),
    )

    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._listener: Listener | None = None
        self._parser: Any = None
        """Made for the first answer that is not read without it."""
        self.on_event: Callable[[bytes, bytes], None] | None = None
        """Who gets whole chunks of the answer, their data and they themselves, in place of the listener."""
        self._reason = b""
        self._headers: Headers = []
        self._head: ResponseHead | None = None
        self._new_head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._trailers: Headers = []
        self._complete = False
        self._keep_alive = False
        self._is_sent = True
        """The request has been written to its end."""
        self._informational = 0
        self._head_bytes = 0
        """What came of a head that is being parsed."""
        self._told_bytes = 0
        """Of this head and the interim ones before it, where they might be too large; and of trailers."""
        self._read = b""
        """What is being parsed."""
        self._barren_bytes = 0
        """What came since there was something for the client: a head's beginning, chunk sizes, trailers."""
        self._left = 0
        """Bytes that are missing of a body which comes by its length, past the parser."""
        self._way = _PARSED
        self._paused = False
        self._lost = False
        self.uses = 0
        """Requests sent over this connection."""
        self.idle_since = 0.0

    def __repr__(self) -> str:
        state = "lost" if self._lost else "busy" if self._listener else "idle"
        return f"<UpstreamConnection {self._pool.address.authority.decode()} {state}, {self.uses} uses>"

    # -- what forwarding calls

    def send(self, request: bytes, listener: Listener, *, whole: bool = True) -> None:
        """Write a request, or its beginning, and deliver its response to `listener`."""
        self._listener = listener
        self._is_sent = whole
        self._head = self.on_event = None
        self._way = _PARSED
        self._complete = False
        self._informational = 0
        self._head_bytes = self._told_bytes = self._barren_bytes = 0
        self.uses += 1
        self._transport.write(request)

    def send_on(self, data: bytes, *, whole: bool) -> None:
        """Write more of the request's body; `whole` if it is the end."""
        self._is_sent = whole
        if data:
            self._transport.write(data)

    def cancel(self) -> None:
        """Drop the request: the upstream sees the connection close."""
        self._listener = None
        self._transport.abort()

    def pause(self) -> None:
        if not self._lost and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._lost and self._paused:
            self._paused = False
            self._transport.resume_reading()

    @property
    def is_usable(self) -> bool:
        return not self._lost and not self._transport.is_closing()

    # -- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        listener = self._listener
        if listener is None:
            # Bytes nobody asked for: whatever they are, they must not reach the next client.
            self._transport.abort()
            return
        if self.on_event is not None and (body := whole_chunks(data)) is not None:
            self.on_event(body, data)  # an event of a stream: nearly all that comes
            return
        head: ResponseHead | None = None
        if self._head is None and not self._head_bytes and (found := self._pool.known.find(data)) is not None:
            head, at = found
            data = data[at:]
            self._head = head
            self._way = _CHUNKS if head.content_length is None else _LENGTH
            self._left = head.content_length or 0
        if self._way == _LENGTH:
            self._read_length(listener, head, data)
        elif self._way == _CHUNKS:
            self._read_chunks(listener, head, data)
        else:
            self._read_parsed(listener, head, data)

    @property
    def reads_chunks(self) -> bool:
        """The answer under way comes in chunks that `on_event` may have."""
        return self._way == _CHUNKS

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._pool.forget(self)
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if exc is None and self._head is not None and self._head.framing == "close":
            listener.received(None, b"", complete=True)
        else:
            listener.broken(str(exc) if exc else "connection closed", garbage=False)

    def pause_writing(self) -> None:
        if self._listener is not None:
            self._listener.upstream_paused()

    def resume_writing(self) -> None:
        if self._listener is not None:
            self._listener.upstream_resumed()

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            raise BadResponseError("bytes after the end of the response")
        self._reason = b""
        self._headers = []

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            self._headers.append((name.lower(), name, value))
            return
        self._trailers.append((name.lower(), name, value))
        self._told_bytes += len(name) + len(value)
        if len(self._trailers) > _MAX_FIELDS or self._told_bytes > _MAX_HEAD_BYTES:
            raise BadResponseError("the trailers are too large")

    def on_headers_complete(self) -> None:
        if self._head is not None:
            self._trailers.clear()  # the head is known, and these are what the parser was told of it
            return
        status: int = self._parser.get_status_code()
        is_interim = status in _CONTINUE
        if is_interim or self._informational or self._head_bytes + len(self._read) > _MAX_HEAD_BYTES:
            self._told_bytes += len(self._reason)
            self._told_bytes += sum(len(name) + len(value) for _, name, value in self._headers)
        if len(self._headers) > _MAX_FIELDS or self._told_bytes > _MAX_HEAD_BYTES:
            raise BadResponseError("the response head is too large")
        if is_interim:
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL or status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise BadResponseError("unasked informational responses")
            return
        version: str = self._parser.get_http_version()
        self._head = self._new_head = read_response_head(status, self._reason, version, self._headers)
        if not self._head_bytes:
            self._pool.known.learn(self._read, self._head)

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._head is None:
            return  # a 1xx is not the answer
        self._complete = True
        # Only right in here: asked later, httptools says no.
        self._keep_alive = self._parser.should_keep_alive()

    # -- inside

    def _read_length(self, listener: Listener, head: ResponseHead | None, data: bytes) -> None:
        self._left -= len(data)
        if self._left > 0:
            if head is not None or data:
                listener.received(head, data, complete=False)
            return
        self._keep_alive = True  # as the known head says
        self._finish(listener, head, data[: self._left] if self._left else data, kept=not self._left)

    def _read_chunks(self, listener: Listener, head: ResponseHead | None, data: bytes) -> None:
        if not data:
            listener.received(head, b"", complete=False)
        elif (body := whole_chunks(data)) is not None:
            listener.received(head, body, complete=False)
        elif (body := last_chunks(data)) is not None:
            self._keep_alive = True
            self._finish(listener, head, body, kept=True)
        else:
            self._read_parsed(listener, head, data)

    def _read_parsed(self, listener: Listener, head: ResponseHead | None, data: bytes) -> None:
        """Read by llhttp, from the answer's beginning or from a chunk's."""
        garbage = self._parse(data)
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                garbage = "the response head is too large"
        if head is None:
            head, self._new_head = self._new_head, None
        body = self._take_body()
        if self._complete:
            self._finish(listener, head, body, kept=garbage is None)
            return
        if head is not None or body:
            self._barren_bytes = 0
            listener.received(head, body, complete=False)
        else:
            self._barren_bytes += len(data)
            if self._barren_bytes > _MAX_HEAD_BYTES:
                garbage = garbage or "too little in too much"
        if garbage is not None and self._listener is not None:
            self._listener = None
            self._transport.abort()
            listener.broken(garbage, garbage=True)

    def _parse(self, data: bytes) -> str | None:
        """Feed llhttp. What is wrong with the response, or None."""
        if self._head is None and not self._head_bytes and not data.startswith(_PROTOCOL[: len(data)]):
            return "malformed response"  # llhttp would take RTSP, too
        self._read = data
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        try:
            if self._way == _CHUNKS:
                self._way = _PARSED
                self.on_event = None
                self._parser.feed_data(_CHUNKS_FOLLOW)
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            return str(cause) if isinstance(cause, BadResponseError) else "malformed response"
        except httptools.HttpParserUpgrade:
            return "unasked protocol upgrade"
        finally:
            self._read = b""
        return None

    def _take_body(self) -> bytes:
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _finish(self, listener: Listener, head: ResponseHead | None, body: bytes, *, kept: bool) -> None:
        """The response is complete; `kept`: nothing follows it."""
        self._listener = None
        if kept and self._keep_alive and self._is_sent:
            self.resume()
            self._pool.put_back(self)
        else:
            self._transport.abort()
        if self._trailers:
            trailers, self._trailers = self._trailers, []
            listener.trailed(trailers)
        listener.received(head, body, complete=True)


class UpstreamPool:
    """The connections to one upstream. The most recently used idle one is taken first."""

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None,
        idle_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self.address = address
        self.known = KnownAnswers()
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._idle: deque[UpstreamConnection] = deque()
        self.opened = 0
        """Connections opened so far."""

    def __repr__(self) -> str:
        return (
            f"<UpstreamPool {self.address.authority.decode()}: {len(self._idle)} idle, {self.opened} opened>"
        )

    def take_idle(self) -> UpstreamConnection | None:
        """A kept connection, or None if a new one has to be opened."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Open a connection.

        Raises:
            OSError: it cannot be reached; ssl.SSLError among them.
        """
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UpstreamConnection(self),
            self.address.host,
            self.address.port,
            ssl=self._tls,
            server_hostname=self.address.host if self._tls else None,
        )
        self.opened += 1
        return connection

    def put_back(self, connection: UpstreamConnection) -> None:
        """The connection may serve the next request."""
        connection.idle_since = self._monotonic()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """The connection is gone."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, *, everything: bool = False) -> None:
        """Close connections that have been idle too long, or all idle ones."""
        oldest = self._monotonic() - self._idle_seconds
        while self._idle and (everything or self._idle[0].idle_since < oldest):
            self._idle.popleft().cancel()

"""The client's side: HTTP/1.1 on a socket, one exchange at a time, pipelined requests in order."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from weir.proxy.wire import refusals
from weir.proxy.wire.crowd import Crowd
from weir.proxy.wire.framing import BadRequestError
from weir.proxy.wire.known_heads import KnownHeads
from weir.proxy.wire.patience import BodyPace
from weir.proxy.wire.proxy_protocol import BadProxyHeaderError, read_header
from weir.proxy.wire.request_parser import RequestParser

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.proxy.exchange import Exchange, RequestHead
    from weir.proxy.wire.application import Application
    from weir.proxy.wire.framing import Headers, HeadLimits
    from weir.proxy.wire.patience import ClientTimeouts

logger = logging.getLogger(__name__)

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_AHEAD_BYTES: Final = 64 << 10
"""What a client may send ahead of its turn, before we stop reading."""
_DISCARD_BYTES: Final = 64 << 10
"""A refused body up to this size is read and dropped, so that the connection can be kept."""
LINGER_SECONDS: Final = 2.0
"""How long a closed connection is still read, so that a reset does not overtake the answer."""
FLUSH_SECONDS: Final = 60.0
"""How long a closed connection may take to read the rest of its answer."""


class _Message:
    """One request being parsed or waiting its turn."""

    __slots__ = ("body", "complete", "head", "trailers")

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.body: list[bytes] = []
        """What came of it before its turn."""
        self.trailers: Headers = []
        self.complete = False


class ClientConnection(asyncio.Protocol):
    """One connection of one client."""

    __slots__ = (
        *("_ahead_bytes", "_answering", "_application", "_backlog", "_body_left", "_broken", "_close_by"),
        *("_closing", "_crowd", "_current", "_draining", "_exchange", "_head_since", "_idle_since"),
        *("_known", "_limits", "_monotonic", "_pace", "_parser", "_parsing", "_preface", "_reading_paused"),
        *("_registry", "_request_held", "_requests_left", "_stalled_since", "_transport", "_waiting"),
        *("_whole_head", "_whose", "_writing_paused", "address", "is_trusted"),
    )

    def __init__(
        self,
        application: Application,
        limits: HeadLimits,
        monotonic: Callable[[], float],
        registry: set[ClientConnection],
        *,
        known: KnownHeads | None = None,
        proxy_protocol: bool = False,
        crowd: Crowd | None = None,
        most_requests: int = 0,
    ) -> None:
        """`known`: what all connections of the worker have learned. `most_requests`: 0 for any number."""
        self._application = application
        self._limits = limits
        self._known = known or KnownHeads()
        self._monotonic = monotonic
        self._registry = registry
        self._crowd = crowd or Crowd()
        self._whose: bytes | None = None
        """Under what the crowd counts it."""
        self._requests_left = most_requests or -1
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._parser: RequestParser | None = None
        """Made for the first bytes that are not a known head."""
        self._parsing: _Message | None = None
        self._current: _Message | None = None
        self._whole_head: bytes | None = None
        """What is being parsed, if it begins with a head."""
        self._body_left = 0
        """Bytes that are missing of a body which comes by its length, past the parser."""
        self._broken: BadRequestError | None = None
        """What came after the request under way is not HTTP."""
        self._exchange: Exchange | None = None
        self._answering = False
        """A request has been taken (or refused) whose response is not done."""
        self._waiting: list[_Message] = []
        """Requests that came ahead of their turn."""
        self._backlog: list[bytes] = []
        """What came after them, not parsed yet."""
        self._ahead_bytes = 0
        self._request_held = False
        """The upstream does not take the body as fast as it comes."""
        self._reading_paused = False
        self._writing_paused = False
        self._closing = False
        self._draining = False
        self._preface: bytes | None = b"" if proxy_protocol else None
        """What came of the PROXY header so far; None when it is not, or no longer, expected."""
        self.address = ""
        self.is_trusted = False
        """What it says of where its requests come from is believed."""
        self._idle_since: float | None = None
        """When the connection began to wait for a request; None while one is under way."""
        self._head_since: float | None = None
        """When the head being received began; None when there is none."""
        self._pace: BodyPace | None = None
        """Of the body under way, once the sweep has looked at it."""
        self._stalled_since: float | None = None
        """Since when the client reads less than it is sent."""
        self._close_by: float | None = None
        """When a connection that is closing is cut, whether all is handed over or not."""

    def __repr__(self) -> str:
        state = "closing" if self._closing else "answering" if self._answering else "idle"
        return f"<ClientConnection {self.address} {state}>"

    # -- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._idle_since = self._monotonic()
        self._registry.add(self)
        error = self._crowd.enter()
        if error is not None:
            self._application.crowded(error, self)
        elif self._preface is None:
            self._recognise()
        else:
            self._head_since = self._idle_since

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._preface is not None:
            rest = self._read_preface(self._preface + data)
            if not rest:
                return
            data = rest
        if self._body_left:
            data = self._take_body(data)
            if not data:
                return
        if self._parsing is None and (self._answering or self._writing_paused):
            if self._broken is None:
                self._backlog.append(data)
                self._hold(len(data))
            return
        self._start(data)

    def eof_received(self) -> bool:
        # A client that half-closes cannot be told from one that left; both are taken as gone.
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._closing = True
        self._registry.discard(self)
        self._crowd.leave(self._whose)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._application.client_left(exchange)

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._stalled_since = self._monotonic()
        if self._exchange is not None:
            self._application.client_paused(self._exchange)

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._stalled_since = None
        if self._exchange is not None:
            self._application.client_resumed(self._exchange)
        elif not self._answering:
            self._take_turn()

    # -- what the parser calls

    def request_began(self, head: RequestHead) -> None:
        if self._closing:
            return
        self._head_since = None
        message = self._parsing = _Message(head)
        if self._answering or self._writing_paused:  # who does not read the answers gets no further ones
            self._waiting.append(message)
        else:
            self._begin(message)

    def body_came(self, data: bytes) -> None:
        message = self._parsing
        if message is None:
            return
        if message in self._waiting:
            message.body.append(data)
            self._hold(len(data))
        elif self._exchange is not None:
            self._application.receive(self._exchange, data)

    def trailers_came(self, fields: Headers) -> None:
        message = self._parsing
        if message is None:
            return
        message.trailers = fields
        if message not in self._waiting and self._exchange is not None:
            self._exchange.trailers = fields

    def request_ended(self) -> None:
        message, self._parsing = self._parsing, None
        if message is None:
            return
        message.complete = True
        if message not in self._waiting and self._exchange is not None:
            self._application.dispatch(self._exchange)

    # -- what the application calls

    def write(self, data: bytes) -> None:
        if not self._closing:
            self._transport.write(data)

    def must_close(self, head: RequestHead) -> bool:
        """Whether the connection closes after this response: as asked, or rather than read a large rest."""
        return (
            self._draining
            or not self._requests_left
            or not head.keep_alive
            or (self._is_incomplete and head.has_body and not self._may_discard(head))
        )

    def hold_request(self) -> None:
        self._request_held = True
        self._pause_or_resume()

    def take_request(self) -> None:
        self._request_held = False
        self._pause_or_resume()

    def response_done(self, *, keep_alive: bool) -> None:
        self._exchange = None
        self._pace = None
        self._answering = False
        if self._request_held:
            self.take_request()
        if not keep_alive or self._draining:
            self.close()
            return
        self._idle_since = self._monotonic()
        self._take_turn()

    def abort(self) -> None:
        self._exchange = None
        self._closing = True
        self._transport.abort()

    def close(self) -> None:
        """Close after what was written has gone out.

        If the client may still be sending, closing at once would send a reset that can overtake the answer:
        we end our side, drop what comes for a moment, and let the sweep close the rest.
        """
        if self._closing:
            return
        if self._reading_paused:  # what still comes is dropped
            self._reading_paused = False
            self._transport.resume_reading()
        self._closing = True
        if (self._is_incomplete or self._broken is not None) and self._transport.can_write_eof():
            self._transport.write_eof()
            self._close_by = self._monotonic() + LINGER_SECONDS
        else:
            self._transport.close()
            self._close_by = self._monotonic() + FLUSH_SECONDS

    def drain(self) -> None:
        """The worker is stopping: close now if idle, else after the response under way."""
        self._draining = True
        if not self._answering:
            self.close()

    def sweep(self, now: float, timeouts: ClientTimeouts) -> None:
        """Cut what should have closed by now; close what idles, or sends too slowly."""
        if self._closing:
            if self._close_by is not None and now > self._close_by:
                self._close_by = None
                self._transport.abort()
        elif self._stalled_since is not None and now - self._stalled_since > timeouts.stalled:
            self._transport.abort()
        elif self._head_since is not None and now - self._head_since > timeouts.head:
            self._refuse(refusals.head_too_slow())
        elif self._idle_since is not None and now - self._idle_since > timeouts.keep_alive:
            self.close()
        elif (
            self._exchange is not None
            and self._is_incomplete
            and self._body_is_slow(self._exchange, now, timeouts)
        ):
            self._refuse(refusals.body_too_slow())

    # -- inside

    @staticmethod
    def _may_discard(head: RequestHead) -> bool:
        """A short rest is read and dropped; one of unknown length is not waited for."""
        return not head.chunked and (head.content_length or 0) <= _DISCARD_BYTES

    @property
    def _is_incomplete(self) -> bool:
        return self._body_left > 0 or (self._current is not None and not self._current.complete)

    def _body_is_slow(self, exchange: Exchange, now: float, timeouts: ClientTimeouts) -> bool:
        if self._pace is None:
            self._pace = BodyPace(now, exchange.request_bytes)
            return False
        return self._pace.is_slow(now, exchange.request_bytes, timeouts.body_rate, excused=self._request_held)

    def _read_preface(self, data: bytes) -> bytes:
        """What follows the load balancer's word on who the client is; nothing while that is not whole."""
        try:
            found = read_header(data)
        except BadProxyHeaderError:
            self.abort()
            return b""
        if found is None:
            self._preface = data
            return b""
        address, end = found
        self._preface = None
        self._head_since = None
        self.address = address or self.address
        self._recognise()
        return b"" if self._closing else data[end:]

    def _recognise(self) -> None:
        """It is known now who the client is."""
        self.is_trusted = self.address in self._crowd.trusted
        self._whose, error = self._crowd.recognise(self.address)
        if error is not None:
            self._application.crowded(error, self)

    def _start(self, data: bytes) -> None:
        """Read on where no request waits for its turn: past the parser where the head is known."""
        if self._parsing is not None or (self._parser is not None and self._parser.is_in_head):
            self._feed(data)
            return
        known = self._known.find(data)
        if known is None:
            self._feed(data)
            return
        try:
            self._begin_known(*known, data)
        except Exception:
            logger.exception("request failed")
            self._refuse(refusals.failed())

    def _begin_known(self, head: RequestHead, body_at: int, data: bytes) -> None:
        self._answering = True
        self._current = None
        self._idle_since = None
        self._requests_left -= 1
        self._body_left = length = head.content_length or 0
        exchange = self._exchange = self._application.accept(head, self)
        if len(data) - body_at == length and exchange is not None:
            self._body_left = 0
            if length:
                self._application.receive(exchange, data[body_at:])
            if self._exchange is exchange:
                self._application.dispatch(exchange)
            return
        rest = data[body_at:]
        if length and rest:
            rest = self._take_body(rest)
        elif not length and exchange is not None:
            self._application.dispatch(exchange)
        if self._body_left and exchange is not None and self._exchange is exchange:
            self._application.mark(exchange)
        if rest and not self._closing:
            self._backlog.append(rest)
            self._hold(len(rest))
            if not self._answering:
                self._take_turn()

    def _take_body(self, data: bytes) -> bytes:
        """Hand the body's share of the data on. What is left belongs to the next request."""
        body, rest = data[: self._body_left], data[self._body_left :]
        self._body_left -= len(body)
        exchange = self._exchange
        if exchange is not None:
            self._application.receive(exchange, body)
            if not self._body_left and self._exchange is exchange:
                self._application.dispatch(exchange)
        return rest

    def _feed(self, data: bytes) -> None:
        parser = self._parser = self._parser or RequestParser(self, self._limits)
        if self._parsing is None:
            self._idle_since = None
            if self._head_since is None:
                self._head_since = self._monotonic()
            if not parser.is_in_head:
                self._whole_head = data
        try:
            parser.feed(data)
        except BadRequestError as error:
            self._refuse(error)
        self._whole_head = None
        if self._exchange is not None and self._parsing is self._current:
            self._application.mark(self._exchange)

    def _refuse(self, error: BadRequestError) -> None:
        """A broken message cannot be followed by another. What came before it is answered first."""
        if self._closing:
            return
        message, self._parsing = self._parsing, None
        self._broken = error
        if message in self._waiting:
            self._waiting.remove(message)
        others_first = self._answering or self._writing_paused or bool(self._waiting)
        if others_first and self._current is not message:
            return
        self._application.malformed(error, self, self._exchange)

    def _begin(self, message: _Message) -> None:
        self._answering = True
        self._current = message
        self._idle_since = None
        self._requests_left -= 1
        self._exchange = self._application.accept(message.head, self)
        if self._exchange is not None and self._whole_head is not None:
            self._known.learn(self._whole_head, message.head)
            self._whole_head = None
        if self._exchange is not None and message.head.expects_continue and not message.complete:
            self._application.mark(self._exchange)  # before the client hears anything
            self.write(CONTINUE)

    def _take_turn(self) -> None:
        """Go on with what the client has sent ahead, if there is anything, in the next turn of the loop."""
        if self._writing_paused:
            return
        if self._waiting or self._backlog or self._broken is not None:
            self._answering = True  # until then, so that nothing read meanwhile overtakes it
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._answering = False
        if self._closing or self._writing_paused:
            return
        if self._waiting:
            self._next_waiting(self._waiting.pop(0))
        elif self._broken is not None:
            self._application.malformed(self._broken, self, None)
        elif self._backlog:
            data = b"".join(self._backlog)
            self._backlog.clear()
            self._release(len(data))
            self._start(data)

    def _next_waiting(self, message: _Message) -> None:
        self._begin(message)
        exchange = self._exchange
        if exchange is not None:
            for piece in message.body:
                self._application.receive(exchange, piece)
            exchange.trailers = message.trailers
            if message.complete and self._exchange is exchange:
                self._application.dispatch(exchange)
        self._release(sum(map(len, message.body)))
        message.body.clear()

    def _hold(self, size: int) -> None:
        self._ahead_bytes += size
        self._pause_or_resume()

    def _release(self, size: int) -> None:
        self._ahead_bytes -= size
        self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        """Read no more than the upstream takes, and little ahead of a request's turn."""
        pause = self._request_held or self._ahead_bytes > _AHEAD_BYTES
        if pause == self._reading_paused or self._closing:
            return
        self._reading_paused = pause
        if pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

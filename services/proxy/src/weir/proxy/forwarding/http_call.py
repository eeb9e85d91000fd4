"""One attempt at an upstream over HTTP."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from weir.events import Attempt
from weir.proxy.errors import (
    KEPT_CONNECTION_CLOSED,
    ProxyError,
    internal_error,
    upstream_failed,
    upstream_timed_out,
)
from weir.proxy.forwarding.deadlines import Deadlines
from weir.proxy.tls import explain
from weir.proxy.upstream import Timeouts
from weir.proxy.wire.heads import chunk
from weir.proxy.wire.trailers import last_chunk_up
from weir.proxy.wire.upstream import UpstreamPool
from weir.servicekit.tasks import BackgroundTasks

if TYPE_CHECKING:
    from weir.proxy.exchange import Exchange
    from weir.proxy.wire.framing import Headers, ResponseHead
    from weir.proxy.wire.upstream import UpstreamConnection

logger = logging.getLogger(__name__)

_OK: Final = 200
_ERRORS: Final = 400
MOST_KEPT: Final = 4096
"""Bytes of a request that are held while it is answered well. Of a larger one nothing is left to compare with
what the upstream may say when its stream fails."""


class Listener(Protocol):
    """Whoever an answer is handed to."""

    heard_at: float
    """When `on_event` was called last; 0 before."""

    @property
    def on_event(self) -> Callable[[bytes, bytes], None] | None:
        """Takes whole chunks of the answer from the connection: their data, and them as they came."""
        ...

    def received(self, head: ResponseHead | None, body: bytes, now: float, *, complete: bool) -> None: ...

    def broken(self, error: ProxyError) -> None: ...

    def abandoned(self) -> None: ...


class Lane(msgspec.Struct, frozen=True):
    """One upstream, as every call of it needs it."""

    upstream_name: str
    pool: UpstreamPool
    timeouts: Timeouts
    deadlines: Deadlines
    tasks: BackgroundTasks
    monotonic: Callable[[], float]


class HttpCall:
    """Sends the request over a pooled connection and hands what comes to the relay."""

    __slots__ = (
        *("_began_at", "_chunked", "_connecting", "_connection", "_exchange", "_heard_at", "_is_held"),
        *("_is_whole", "_lane", "_paused", "_refused_at", "_request", "_status", "relay"),
    )

    def __init__(
        self,
        exchange: Exchange,
        lane: Lane,
        request: bytes,
        relay: Listener,
        *,
        is_whole: bool,
        chunked: bool,
    ) -> None:
        """`is_whole`: `request` has the whole body; the rest comes by `send_on`, in chunks if `chunked`."""
        self._exchange = exchange
        self._lane = lane
        self._request = [request]
        """What has been sent and can be sent again, or waits for the connection."""
        self._is_held = True
        """All of the request so far is in there."""
        self.relay = relay
        """Whoever hears of the answer; a watch may hand it to the next."""
        self._is_whole = is_whole
        self._chunked = chunked
        self._began_at = 0.0
        self._connection: UpstreamConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._heard_at: float | None = None
        """When the upstream last sent something, events aside."""
        self._refused_at: float | None = None
        """Since when the upstream takes no more of the request."""
        self._status: int | None = None
        self._paused = False

    def start(self) -> None:
        lane = self._lane
        self._began_at = lane.monotonic()
        lane.deadlines.watch(self)
        connection = lane.pool.take_idle()
        if connection is None:
            self._connect_soon()
        else:
            self._exchange.connect_seconds = 0.0
            self._send(connection)

    @property
    def sent(self) -> bytes | None:
        """Held until the end of an error's answer, as upstreams repeat in it what they were sent."""
        return b"".join(self._request) if self._is_held else None

    # -- called for the client

    def send_on(self, data: bytes, *, whole: bool) -> None:
        """More of the request's body; `whole` if it is the end."""
        if self._chunked:
            data = chunk(data) if data else b""
            if whole:
                data += last_chunk_up(self._exchange.trailers)
        self._is_whole = whole
        connection = self._connection
        if connection is None:
            self._request.append(data)
            return
        self._request.clear()
        self._is_held = False
        if whole:
            # The answer may have begun before; nothing took less than no time.
            answered_at = self._exchange.headers_at
            self._exchange.sent_at = self._lane.monotonic() if answered_at is None else answered_at
        connection.send_on(data, whole=whole)

    def cancel(self) -> None:
        self.drop("cancelled")
        self.relay.abandoned()

    def drop(self, error: str) -> None:
        connecting, self._connecting = self._connecting, None
        connection, self._connection = self._connection, None
        if connecting is not None:
            connecting.cancel()
        if connection is not None:
            connection.cancel()
        if connecting is not None or connection is not None:
            self._end(error)

    def pause(self) -> None:
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self._paused = False
        if self._heard_at is not None:
            self._heard_at = self._lane.monotonic()
        if self._connection is not None:
            self._connection.resume()

    # -- called by the upstream connection

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        now = self._heard_at = self._lane.monotonic()
        if head is not None:
            self._status = head.status
            if head.status < _ERRORS and sum(map(len, self._request)) > MOST_KEPT:
                self._request.clear()
                self._is_held = False
        if complete:
            self._connection = None
            self._lane.deadlines.forget(self)
            if self._exchange.attempts or self._status != _OK:
                self._note(None, now)
        self.relay.received(head, body, now, complete=complete)
        connection = self._connection
        if connection is not None and connection.reads_chunks and connection.on_event is None:
            connection.on_event = self.relay.on_event

    def trailed(self, fields: Headers) -> None:
        self._exchange.answer_trailers = fields

    def broken(self, reason: str, *, garbage: bool) -> None:
        connection, self._connection = self._connection, None
        if (
            not garbage
            and self._heard_at is None
            and self._is_held
            and connection is not None
            and connection.uses > 1
        ):
            # A kept connection that was closed as we reused it: nothing came back, so nothing was done.
            self._end(KEPT_CONNECTION_CLOSED)
            self._exchange.retries += 1
            self._lane.deadlines.watch(self)
            self._connect_soon()
            return
        self._end(reason)
        if garbage:
            error = upstream_failed(
                "upstream_bad_response", "The model server sent a response that is not valid HTTP."
            )
        else:
            error = upstream_failed(
                "upstream_disconnected", "The model server closed the connection too early."
            )
        self.relay.broken(error)

    def upstream_paused(self) -> None:
        self._refused_at = self._lane.monotonic()
        if not self._is_whole:
            self._exchange.client.hold_request()

    def upstream_resumed(self) -> None:
        self._refused_at = None
        if not self._is_whole:
            self._exchange.client.take_request()

    # -- time limits

    def overdue(self, now: float) -> str | None:
        if self._connection is None:
            return None
        timeouts, sent_at = self._lane.timeouts, self._exchange.sent_at
        if sent_at is None:
            late = self._refused_at is not None and now - self._refused_at > timeouts.idle
            return f"take more of the request within {timeouts.idle:g} s" if late else None
        if now - sent_at > timeouts.total:
            return f"finish its answer within {timeouts.total:g} s"
        if self._heard_at is None:
            limit = timeouts.first_byte
            return f"answer within {limit:g} s" if now - sent_at > limit else None
        if not self._paused and now - max(self._heard_at, self.relay.heard_at) > timeouts.idle:
            return f"continue its answer within {timeouts.idle:g} s"
        return None

    def time_out(self, what: str) -> None:
        self.drop("timeout")
        self.relay.broken(upstream_timed_out(f"The model server did not {what}."))

    # -- inside

    def _connect_soon(self) -> None:
        if not self._is_whole:
            self._exchange.client.hold_request()
        self._connecting = self._lane.tasks.start("connect", self._connect())

    async def _connect(self) -> None:
        lane = self._lane
        began = lane.monotonic()
        error: ProxyError
        try:
            async with asyncio.timeout(lane.timeouts.connect):
                connection = await lane.pool.connect()
        except TimeoutError:
            error = upstream_timed_out(
                f"The model server did not accept a connection within {lane.timeouts.connect:g} s."
            )
        except ssl.SSLError as reason:
            error = upstream_failed(*explain(reason))
        except OSError:
            error = upstream_failed("upstream_unreachable", "The model server cannot be reached.")
        except Exception:
            # Nobody waits for this task, so whatever comes of it ends the exchange in here.
            logger.exception("connecting failed", extra={"request_id": self._exchange.request_id})
            error = internal_error()
        else:
            self._connecting = None
            self._exchange.connect_seconds = lane.monotonic() - began
            self._send(connection)
            if not self._is_whole:
                self._exchange.client.take_request()
            return
        self._connecting = None
        self._end(error.code)
        self.relay.broken(error)

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self._heard_at = None
        if self._is_whole:
            self._exchange.sent_at = self._lane.monotonic()
        request = self._request
        connection.send(request[0] if len(request) == 1 else b"".join(request), self, whole=self._is_whole)
        if self._paused:
            connection.pause()

    def _end(self, error: str) -> None:
        """The attempt failed; note it."""
        self._lane.deadlines.forget(self)
        self._note(error, self._lane.monotonic())

    def _note(self, error: str | None, now: float) -> None:
        milliseconds = round((now - self._began_at) * 1000, 3)
        attempt = Attempt(
            upstream=self._lane.upstream_name, status=self._status, ms=milliseconds, error=error
        )
        self._exchange.attempts = [*self._exchange.attempts, attempt]
        self._began_at = now

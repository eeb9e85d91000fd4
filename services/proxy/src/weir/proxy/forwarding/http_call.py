"""One attempt at an upstream over HTTP."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Protocol

from weir.events import Attempt
from weir.proxy.errors import ProxyError, internal_error, upstream_failed, upstream_timed_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.proxy.exchange import Exchange
    from weir.proxy.forwarding.deadlines import Deadlines
    from weir.proxy.upstream import Timeouts
    from weir.proxy.wire.framing import ResponseHead
    from weir.proxy.wire.upstream import UpstreamConnection, UpstreamPool
    from weir.servicekit.tasks import BackgroundTasks

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Whoever an answer is handed to."""

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None: ...

    def broken(self, error: ProxyError) -> None: ...

    def abandoned(self) -> None: ...


class HttpCall:
    """Sends the request over a pooled connection and hands what comes to the relay."""

    def __init__(
        self,
        exchange: Exchange,
        upstream_name: str,
        request: bytes,
        relay: Listener,
        pool: UpstreamPool,
        *,
        timeouts: Timeouts,
        deadlines: Deadlines,
        tasks: BackgroundTasks,
        monotonic: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._upstream_name = upstream_name
        self._request = request
        self.relay = relay
        """Whoever hears of the answer; a watch may hand it to the next."""
        self._pool = pool
        self._timeouts = timeouts
        self._deadlines = deadlines
        self._tasks = tasks
        self._monotonic = monotonic
        self._connection: UpstreamConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._began_at = 0.0
        self._heard_at: float | None = None
        """When the upstream last sent something."""
        self._status: int | None = None
        self._paused = False

    def start(self) -> None:
        self._began_at = self._monotonic()
        self._deadlines.watch(self)
        connection = self._pool.take_idle()
        if connection is None:
            self._connecting = self._tasks.start("connect", self._connect())
        else:
            self._exchange.connect_seconds = 0.0
            self._send(connection)

    # -- called for the client

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
            self._heard_at = self._monotonic()
        if self._connection is not None:
            self._connection.resume()

    # -- called by the upstream connection

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        self._heard_at = self._monotonic()
        if head is not None:
            self._status = head.status
        if complete:
            self._connection = None
            self._end(None)
        self.relay.received(head, body, complete=complete)

    def broken(self, reason: str, *, garbage: bool) -> None:
        connection, self._connection = self._connection, None
        if not garbage and self._heard_at is None and connection is not None and connection.uses > 1:
            # A kept connection that was closed as we reused it: nothing came back, so nothing was done.
            self._end("kept connection was closed")
            self._exchange.retries += 1
            self._deadlines.watch(self)
            self._connecting = self._tasks.start("connect", self._connect())
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
        """The request is held whole, so there is nothing to hold back."""

    def upstream_resumed(self) -> None:
        """As above."""

    # -- time limits

    def overdue(self, now: float) -> str | None:
        sent_at = self._exchange.sent_at
        if self._connection is None or sent_at is None:
            return None
        if now - sent_at > self._timeouts.total:
            return f"finish its answer within {self._timeouts.total:g} s"
        if self._heard_at is None:
            limit = self._timeouts.first_byte
            return f"answer within {limit:g} s" if now - sent_at > limit else None
        if not self._paused and now - self._heard_at > self._timeouts.idle:
            return f"continue its answer within {self._timeouts.idle:g} s"
        return None

    def time_out(self, what: str) -> None:
        self.drop("timeout")
        self.relay.broken(upstream_timed_out(f"The model server did not {what}."))

    # -- inside

    async def _connect(self) -> None:
        began = self._monotonic()
        error: ProxyError
        try:
            async with asyncio.timeout(self._timeouts.connect):
                connection = await self._pool.connect()
        except TimeoutError:
            error = upstream_timed_out(
                f"The model server did not accept a connection within {self._timeouts.connect:g} s."
            )
        except ssl.SSLError as reason:
            why = getattr(reason, "reason", None) or "the handshake failed"
            error = upstream_failed("upstream_tls", f"The model server's TLS was refused: {why}.")
        except OSError:
            error = upstream_failed("upstream_unreachable", "The model server cannot be reached.")
        except Exception:
            # Nobody waits for this task, so whatever comes of it ends the exchange in here.
            logger.exception("connecting failed", extra={"request_id": self._exchange.request_id})
            error = internal_error()
        else:
            self._connecting = None
            self._exchange.connect_seconds = self._monotonic() - began
            self._send(connection)
            return
        self._connecting = None
        self._end(error.code)
        self.relay.broken(error)

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self._heard_at = None
        self._exchange.sent_at = self._monotonic()
        connection.send(self._request, self)
        if self._paused:
            connection.pause()

    def _end(self, error: str | None) -> None:
        """Note the attempt; it is over."""
        self._deadlines.forget(self)
        now = self._monotonic()
        milliseconds = round((now - self._began_at) * 1000, 3)
        self._exchange.attempts.append(
            Attempt(upstream=self._upstream_name, status=self._status, ms=milliseconds, error=error)
        )
        self._began_at = now

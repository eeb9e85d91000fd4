"""Sends an exchange to its upstream: the body prepared, the head written, the attempt started."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from weir.proxy.errors import rejected
from weir.proxy.forwarding.deadlines import Deadlines
from weir.proxy.forwarding.echo_call import EchoCall
from weir.proxy.forwarding.fetch import FetchError, fetch
from weir.proxy.forwarding.http_call import HttpCall, Lane
from weir.proxy.forwarding.refusal import Askable, RefusalWatch, less
from weir.proxy.forwarding.relay import AnswerRelay
from weir.proxy.providers.model_name import rename_in_form, rename_in_json
from weir.proxy.providers.provider import Added
from weir.proxy.tls import client_context
from weir.proxy.wire.heads import LAST_CHUNK, RequestWriter, chunk
from weir.proxy.wire.trace_context import header_line, own_ids
from weir.proxy.wire.trailers import last_chunk_up
from weir.proxy.wire.upstream import UpstreamPool

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping, Sequence

    from weir.proxy.exchange import Exchange
    from weir.proxy.forwarding.http_call import Listener
    from weir.proxy.forwarding.relay import Ending
    from weir.proxy.providers.provider import Dialect
    from weir.proxy.upstream import Timeouts, Upstream
    from weir.servicekit.tasks import BackgroundTasks

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 60.0
"""How long an upstream connection is kept without use."""
IN_PROCESS: Final = "echo"
ECHO_ANSWERS: Final = frozenset({"chat.completions", "models.list"})
_NOTHING_ADDED: Final = Added.NOTHING
FETCH_SECONDS: Final = 5.0


class Forwarder:
    """The upstreams' pools and writers, and the calls under way."""

    def __init__(
        self,
        upstreams: Collection[Upstream],
        dialects: Mapping[str, Dialect],
        *,
        timeouts: Timeouts,
        pass_client_keys: bool,
        scheme: bytes = b"http",
        tasks: BackgroundTasks,
        monotonic: Callable[[], float],
    ) -> None:
        self._dialects = dialects
        self._timeouts = timeouts
        self._monotonic = monotonic
        self._deadlines = Deadlines()
        self._pools: dict[str, UpstreamPool] = {}
        self._lanes: dict[str, Lane] = {}
        self._writers: dict[str, RequestWriter] = {}
        self._askable = Askable(upstreams)
        system: ssl.SSLContext | None = None
        for upstream in upstreams:
            if upstream.provider == IN_PROCESS:
                continue
            address = upstream.address
            tls: ssl.SSLContext | None = None
            if address.tls and upstream.ca is not None:
                tls = client_context(upstream.ca)  # of its own: sessions are kept by host, whatever the port
            elif address.tls:
                tls = system = system or client_context(None)  # large, so one for all
            pool = self._pools[upstream.name] = UpstreamPool(
                address,
                tls=tls,
                idle_seconds=IDLE_SECONDS,
                monotonic=monotonic,
            )
            self._lanes[upstream.name] = Lane(
                upstream.name, pool, upstream.timeouts or timeouts, self._deadlines, tasks, monotonic
            )
            self._writers[upstream.name] = RequestWriter(
                upstream,
                pass_client_key=pass_client_keys and upstream.api_key is None,
                scheme=scheme,
            )

    def send(self, exchange: Exchange, upstream: Upstream, ending: Ending, *, is_whole: bool) -> None:
        """Start the attempt. Whatever comes of it ends the exchange through `ending`.

        `is_whole`: the body is; else the rest comes by the call's `send_on`.
        """
        exchange.upstream = upstream
        _join_trace(exchange)
        body = exchange.body[0] if len(exchange.body) == 1 else b"".join(exchange.body)
        exchange.body.clear()
        self._attempt(exchange, upstream, ending, body, self._askable.of(upstream), is_whole=is_whole)

    def _attempt(
        self,
        exchange: Exchange,
        upstream: Upstream,
        ending: Ending,
        original: bytes,
        may: Added,
        *,
        is_whole: bool,
        is_second: bool = False,
    ) -> None:
        """`is_second`: the upstream has refused what was asked for beyond the client's wish."""
        endpoint = exchange.endpoint
        dialect = self._dialects[endpoint.dialect]
        body, added = original, _NOTHING_ADDED
        if endpoint.kind == "inference":
            body, added = dialect.prepare(body, exchange.facts, may)
        if upstream.rename:
            body = _renamed(exchange, upstream, body)
        relay = AnswerRelay(exchange, dialect, ending, added=added, monotonic=self._monotonic)
        if upstream.provider == IN_PROCESS:
            self._play(exchange, body, relay)
            return
        length: int | None = len(body)
        if not is_whole:
            promised = exchange.head.content_length
            length = None if promised is None else promised - len(original) + len(body)
        last = LAST_CHUNK
        if exchange.trailers and is_whole and exchange.head.method != b"GET":
            last = last_chunk_up(exchange.trailers)
            length = None if last != LAST_CHUNK else length  # only chunks have trailers
        request = self._writers[upstream.name].head(
            exchange.head,
            body_bytes=length,
            identity=added != _NOTHING_ADDED,
            client_address=exchange.client.address,
            trace_line=exchange.trace_line,
            trusted=exchange.client.is_trusted,
            path=_renamed_path(exchange, upstream) if upstream.rename else None,
        )
        request += chunk(body) if length is None and body else body
        if is_whole and length is None:
            request += last
        listener: Listener = relay
        if added or is_second:

            def again(refusal: bytes) -> None:
                exchange.retries += 1
                exchange.answer_trailers = ()
                with_less = less(added, refusal)
                self._attempt(
                    exchange, upstream, ending, original, with_less, is_whole=is_whole, is_second=True
                )

            taken = partial(self._askable.learn, upstream, may) if is_second else None
            listener = RefusalWatch(relay, again if added else None, taken)
        call = exchange.call = HttpCall(
            exchange,
            self._lanes[upstream.name],
            request,
            listener,
            is_whole=is_whole,
            chunked=length is None,
        )
        if isinstance(listener, RefusalWatch):
            listener.call = call
        call.start()

    def _play(self, exchange: Exchange, body: bytes, relay: AnswerRelay) -> None:
        if exchange.endpoint.operation not in ECHO_ANSWERS:
            raise rejected(
                HTTPStatus.NOT_FOUND, "unknown_url", "The built-in demo model answers chat completions only."
            )
        call = exchange.call = EchoCall(exchange, body, relay, self._monotonic)
        call.start()

    async def fetch_all(self, exchange: Exchange, upstreams: Sequence[Upstream]) -> list[bytes | None]:
        """Ask each upstream for the path of the exchange; None for one that did not answer."""
        _join_trace(exchange)
        return list(await asyncio.gather(*(self._fetch(exchange, upstream) for upstream in upstreams)))

    async def _fetch(self, exchange: Exchange, upstream: Upstream) -> bytes | None:
        timeouts = upstream.timeouts or self._timeouts
        request = self._writers[upstream.name].head(
            exchange.head,
            body_bytes=0,
            identity=True,
            client_address=exchange.client.address,
            trace_line=exchange.trace_line,
            trusted=exchange.client.is_trusted,
        )
        try:
            return await fetch(self._pools[upstream.name], request, min(FETCH_SECONDS, timeouts.first_byte))
        except FetchError as error:
            logger.warning("upstream does not list its models: %s", error, extra={"upstream": upstream.name})
            return None

    def sweep(self, now: float) -> None:
        """End what is overdue and close what has been idle too long."""
        self._deadlines.sweep(now)
        for pool in self._pools.values():
            pool.close_idle()

    @property
    def is_busy(self) -> bool:
        """Whether a call of its is under way."""
        return bool(self._deadlines)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close_idle(everything=True)


def _join_trace(exchange: Exchange) -> None:
    """The exchange's place in its caller's trace, or in one that begins with it."""
    own_trace, span_id = own_ids(exchange.request_id)
    trace_id = exchange.trace_id or own_trace
    exchange.trace_id, exchange.span_id = trace_id, span_id
    exchange.trace_line = header_line(trace_id, span_id, exchange.trace_flags)


def _renamed(exchange: Exchange, upstream: Upstream, body: bytes) -> bytes:
    """The body with the upstream's own name of the model, if it has another."""
    name = upstream.rename.get(exchange.facts.model or "")
    if name is None or exchange.endpoint.body == "none":
        return body
    return rename_in_form(body, name) if exchange.endpoint.body == "form" else rename_in_json(body, name)


def _renamed_path(exchange: Exchange, upstream: Upstream) -> bytes | None:
    """The path with the upstream's own name of the model that it names; None if that is no other."""
    model = exchange.model_in_path
    name = upstream.rename.get(model) if model is not None else None
    if model is None or name is None:
        return None
    return exchange.head.path.removesuffix(model.encode()) + quote(name, safe="/:@~").encode()

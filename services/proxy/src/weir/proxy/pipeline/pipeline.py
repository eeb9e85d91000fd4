"""What happens to a request, in order: known endpoint, known client, room, readable body, upstream, record.

An exchange starts life as an internal error; every way out sets its outcome and passes through `record`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from weir.events import Outcome
from weir.proxy.access.admission import Admission, Admissions, Refusal
from weir.proxy.errors import ProxyError, internal_error
from weir.proxy.exchange import Exchange
from weir.proxy.pipeline import answers
from weir.proxy.pipeline.bodies import Bodies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.access.cors import Cors
    from weir.proxy.endpoints import EndpointTable
    from weir.proxy.exchange import RequestHead
    from weir.proxy.metering.counters import Counters
    from weir.proxy.metering.ids import RequestIds
    from weir.proxy.metering.recorder import Recorder
    from weir.proxy.pipeline.bodies import BodyLimits
    from weir.proxy.pipeline.routes import Handler, Routes
    from weir.proxy.providers.provider import Dialect
    from weir.proxy.wire.framing import BadRequestError
    from weir.proxy.wire.server import ClientConnection
    from weir.servicekit.clock import Clock

logger = logging.getLogger(__name__)

CLIENT_LEFT: Final = "client_disconnected"
_IN_FLIGHT: Final = {variant: f"in_flight_{variant}" for variant in ("production", "canary")}


class Pipeline:
    """The one place where the rooms of the proxy meet."""

    def __init__(
        self,
        endpoints: EndpointTable,
        dialects: Mapping[str, Dialect],
        *,
        cors: Cors,
        routes: Routes,
        recorder: Recorder,
        counters: Counters,
        request_ids: RequestIds,
        handlers: Mapping[str, Handler],
        clock: Clock,
        limits: BodyLimits,
    ) -> None:
        self._admissions = Admissions(endpoints, cors)
        self._dialects = dialects
        self._routes = routes
        self._recorder = recorder
        self._counters = counters
        self._request_ids = request_ids
        self._handlers = handlers
        self._clock = clock
        self._bodies = Bodies(dialects, limits)
        self._answers = answers.Answers(cors)
        self._open: set[Exchange] = set()

    @property
    def in_flight(self) -> int:
        return len(self._open)

    def reconfigure(self, routes: Routes) -> None:
        """From the next request on, these clients and upstreams; what is under way is not touched."""
        self._routes = routes

    # -- the sentence

    def accept(self, head: RequestHead, client: ClientConnection) -> Exchange | None:
        """A head is here: refuse it without a record, or open an exchange."""
        admission: Admission | None = head.memory.admission
        if admission is None or admission.keys is not self._routes.keys:
            admission = self._admit(head, client)
            if admission is None:
                return None
            head.memory.admission = admission
        exchange = self._begin(admission, head, client)
        endpoint = admission.endpoint
        if exchange is not None and (head.content_length or 0) > self._bodies.most[endpoint.body]:
            self.fail(exchange, self._bodies.too_large(endpoint))
            return None
        return exchange

    def receive(self, exchange: Exchange, data: bytes) -> None:
        """A piece of the body."""
        exchange.request_bytes += len(data)
        if exchange.recorded:
            return
        endpoint = exchange.endpoint
        if exchange.request_bytes > self._bodies.most[endpoint.body]:
            self.fail(exchange, self._bodies.too_large(endpoint))
        elif exchange.call is not None:
            exchange.call.send_on(data, whole=False)
        elif endpoint.body != "none":
            exchange.body.append(data)
            if endpoint.body != "json" and self._is_enough(exchange):
                self._send(exchange, is_whole=False)

    def dispatch(self, exchange: Exchange) -> None:
        """The request is whole: read it, choose the upstream, send it."""
        if exchange.recorded:
            return
        exchange.received_at = self._clock.monotonic()
        if exchange.call is not None:
            exchange.call.send_on(b"", whole=True)
        else:
            self._send(exchange, is_whole=True)

    def _send(self, exchange: Exchange, *, is_whole: bool) -> None:
        try:
            self._bodies.read(exchange)
            self._recorder.mark(exchange)
            handler = self._handlers.get(exchange.endpoint.operation)
            if handler is not None and handler.handle(exchange, self._routes, self):
                return
            upstream = self._routes.router.choose(exchange.facts.model, exchange.endpoint.family)
            self._counters.add(_IN_FLIGHT[upstream.variant])
            self._routes.forwarder.send(exchange, upstream, self, is_whole=is_whole)
        except ProxyError as error:
            self.fail(exchange, error)
        except Exception:
            logger.exception("request failed", extra={"request_id": exchange.request_id})
            self.fail_unforeseen(exchange)

    # -- the ends

    def record(self, exchange: Exchange) -> None:
        """Close the exchange: its record is in the journal when this returns."""
        if exchange.recorded:
            return
        self._recorder.close(exchange)
        self._open.discard(exchange)
        exchange.call = (
            None  # the call knows the exchange: without this only the garbage collector frees both
        )
        if exchange.upstream is not None:
            self._counters.add(_IN_FLIGHT[exchange.upstream.variant], -1)

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """End an exchange of which the client has not seen anything yet with our own error."""
        if exchange.recorded:
            return
        if exchange.call is not None:
            exchange.call.drop(error.code)  # it may still be taking the request
        if exchange.status_code is not None:  # an answer that came before the request was whole
            exchange.outcome, exchange.error_type = error.outcome, error.code
            self.record(exchange)
            exchange.client.abort()
            return
        exchange.outcome = error.outcome
        exchange.error_type = error.code
        exchange.error_message = error.message
        exchange.status_code = error.status.value
        body = self._dialects[exchange.endpoint.dialect].error_body(error)
        exchange.response_bytes = len(body)
        self.record(exchange)
        self._answers.refuse(exchange.client, exchange.head, error, body, request_id=exchange.request_id)

    def fail_unforeseen(self, exchange: Exchange) -> None:
        """Something of ours failed; the log has it."""
        if exchange.status_code is None:
            self.fail(exchange, internal_error())
        elif not exchange.recorded:
            exchange.outcome = Outcome.INTERNAL_ERROR
            exchange.error_type = "internal_error"
            self.record(exchange)
            exchange.client.abort()

    def client_left(self, exchange: Exchange) -> None:
        """The client's connection is gone: cancel the upstream request at once."""
        if exchange.recorded:
            return
        if exchange.call is not None:
            exchange.call.cancel()
        exchange.outcome = Outcome.CANCELLED
        exchange.error_type = CLIENT_LEFT
        self.record(exchange)

    def client_paused(self, exchange: Exchange) -> None:
        if exchange.call is not None:
            exchange.call.pause()

    def client_resumed(self, exchange: Exchange) -> None:
        if exchange.call is not None:
            exchange.call.resume()

    def mark(self, exchange: Exchange) -> None:
        """The request is not whole yet; should the process die, it was accepted all the same."""
        if not exchange.recorded:
            self._recorder.mark(exchange)

    def crowded(self, error: BadRequestError, client: ClientConnection) -> None:
        """One connection too many: told when to come again, and closed."""
        self._counters.add("connections_refused")
        answers.refuse_malformed(client, answers.crowded(error))

    def malformed(self, error: BadRequestError, client: ClientConnection, exchange: Exchange | None) -> None:
        """Not HTTP as we take it. The answer repeats nothing of what came."""
        self._counters.add("malformed")
        refusal = answers.malformed(error)
        if exchange is not None and exchange.status_code is not None:
            self.client_left(exchange)
            client.abort()
            return
        if exchange is not None:
            self.fail(exchange, refusal)
            return
        answers.refuse_malformed(client, refusal)

    def drop_all(self) -> None:
        """Cut what is still in flight, each with its record."""
        for exchange in tuple(self._open):
            self.client_left(exchange)
            exchange.client.abort()

    # -- inside

    def _admit(self, head: RequestHead, client: ClientConnection) -> Admission | None:
        """Who it is and what is asked for. None: it has been answered."""
        decided = self._admissions.decide(head, self._routes.keys)
        if isinstance(decided, Admission):
            return decided
        if isinstance(decided, Refusal):
            self._turn_away(client, head, decided)
        else:
            client.write(decided)
            client.response_done(keep_alive=not client.must_close(head))
        return None

    def _turn_away(self, client: ClientConnection, head: RequestHead, refusal: Refusal) -> None:
        """Answer what was never accepted: it is counted and leaves no record."""
        self._counters.add(refusal.counter)
        error, dialect = refusal.error, refusal.dialect
        body = error.body() if dialect is None else self._dialects[dialect].error_body(error)
        self._answers.refuse(client, head, error, body, request_id=None)

    def _begin(self, admission: Admission, head: RequestHead, client: ClientConnection) -> Exchange | None:
        if not self._recorder.takes_records():
            refusal = Refusal(answers.journal_full(), "journal_full", admission.endpoint.dialect)
            self._turn_away(client, head, refusal)
            return None
        started_us = self._clock.now_us()
        slot = self._recorder.open()
        exchange = Exchange(
            self._request_ids.next(started_us),
            head,
            client,
            admission.endpoint,
            slot,
            self._clock.monotonic(),
            started_us,
        )
        exchange.model_in_path = admission.model
        exchange.extra_headers = admission.extra_headers
        exchange.api_key_id = admission.api_key_id
        if admission.trace is not None:
            exchange.trace_id, exchange.trace_flags = admission.trace.trace_id, admission.trace.flags
        self._counters.add("accepted")
        self._open.add(exchange)
        if slot is None:
            self.fail(exchange, answers.overloaded())
            return None
        return exchange

    def _is_enough(self, exchange: Exchange) -> bool:
        try:
            return self._bodies.is_enough(exchange, self._routes.router)
        except ProxyError as error:
            self.fail(exchange, error)
            return False

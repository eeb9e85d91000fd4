"""What happens to a request, in order: known endpoint, known client, room, readable body, upstream, record.

An exchange starts life as an internal error; every way out sets its outcome and passes through `record`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from weir.events import Outcome
from weir.proxy.endpoints import Endpoint
from weir.proxy.errors import ProxyError, internal_error, rejected
from weir.proxy.exchange import Exchange
from weir.proxy.providers.provider import UnreadableBodyError
from weir.proxy.wire.heads import own_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.access.cors import Cors
    from weir.proxy.access.keys import Keys
    from weir.proxy.endpoints import EndpointTable
    from weir.proxy.exchange import Client, RequestHead
    from weir.proxy.forwarding.forward import Forwarder
    from weir.proxy.forwarding.relay import Ending
    from weir.proxy.metering.counters import Counters
    from weir.proxy.metering.ids import RequestIds
    from weir.proxy.metering.recorder import Recorder
    from weir.proxy.providers.provider import Dialect
    from weir.proxy.routing.router import Router
    from weir.proxy.wire.framing import BadRequestError
    from weir.proxy.wire.server import ClientConnection
    from weir.servicekit.clock import Clock

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1
CLIENT_LEFT: Final = "client_disconnected"
_HELD_FORM: Final = 1 << 20
"""How much of a form is held in the hope that it names its model."""
_IN_FLIGHT: Final = {variant: f"in_flight_{variant}" for variant in ("production", "canary")}
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


@dataclass(frozen=True, slots=True)
class Routes:
    """What a reload of the configuration replaces."""

    keys: Keys
    router: Router
    forwarder: Forwarder


class BodyLimits(msgspec.Struct, frozen=True):
    """How many bytes a request's body may have."""

    held: int
    sent_on: int
    """Of a form or a file, which goes on as it comes."""


class Admission(msgspec.Struct, frozen=True, gc=False):
    """What a head says once and for all: who asks for what."""

    routes: Routes
    """By which it was decided; after a reload it is decided anew."""
    endpoint: Endpoint
    model: str | None
    """Named by the path."""
    api_key_id: str | None
    extra_headers: bytes
    trace_id: str | None


class Handler(Protocol):
    """What an endpoint needs beyond the table, by its operation."""

    def handle(self, exchange: Exchange, routes: Routes, ending: Ending) -> bool:
        """Whether it takes the exchange; then it ends it, else one upstream gets it."""
        ...


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
        self._endpoints = endpoints
        self._dialects = dialects
        self._cors = cors
        self._routes = routes
        self._recorder = recorder
        self._counters = counters
        self._request_ids = request_ids
        self._handlers = handlers
        self._clock = clock
        self._most = {
            "json": limits.held,
            "none": limits.held,
            "form": limits.sent_on,
            "opaque": limits.sent_on,
        }
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
        if admission is None or admission.routes is not self._routes:
            admission = self._admit(head, client)
            if admission is None:
                return None
            head.memory.admission = admission
        exchange = self._begin(admission, head, client)
        if exchange is not None and (head.content_length or 0) > self._most[admission.endpoint.body]:
            self.fail(exchange, self._too_large(admission.endpoint))
            return None
        return exchange

    def receive(self, exchange: Exchange, data: bytes) -> None:
        """A piece of the body."""
        exchange.request_bytes += len(data)
        if exchange.recorded:
            return
        endpoint = exchange.endpoint
        if exchange.request_bytes > self._most[endpoint.body]:
            self.fail(exchange, self._too_large(endpoint))
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
            self._read(exchange)
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
        self._answer(exchange.client, exchange.head, error, body, request_id=exchange.request_id)

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

    def malformed(self, error: BadRequestError, client: ClientConnection, exchange: Exchange | None) -> None:
        """Not HTTP as we take it. The answer repeats nothing of what came."""
        self._counters.add("malformed")
        refusal = rejected(error.status, error.code, error.message)
        if exchange is not None and exchange.status_code is not None:
            self.client_left(exchange)
            client.abort()
            return
        if exchange is not None:
            self.fail(exchange, refusal)
            return
        client.write(own_response(refusal.status, refusal.body(), request_id=None, close=True))
        client.close()

    def drop_all(self) -> None:
        """Cut what is still in flight, each with its record."""
        for exchange in tuple(self._open):
            self.client_left(exchange)
            exchange.client.abort()

    # -- inside

    def _admit(self, head: RequestHead, client: ClientConnection) -> Admission | None:
        """Who it is and what is asked for. None: it has been answered."""
        found = self._endpoints.find(head.path)
        if found is None:
            self._turn_away(client, head, _unknown_url(), "not_found")
            return None
        methods, model = found
        if (preflight := self._cors.preflight(head, methods)) is not None:
            client.write(preflight)
            client.response_done(keep_alive=not client.must_close(head))
            return None
        endpoint = methods.get(head.method)
        if endpoint is None:
            self._turn_away(client, head, _wrong_method(methods), "not_found")
            return None
        routes = self._routes
        try:
            api_key_id = routes.keys.identify(head)
        except ProxyError as error:
            self._turn_away(client, head, error, "unauthorized", self._dialects[endpoint.dialect])
            return None
        return Admission(routes, endpoint, model, api_key_id, self._cors.headers(head), _trace_id(head))

    def _turn_away(
        self,
        client: Client,
        head: RequestHead,
        error: ProxyError,
        counter: str,
        dialect: Dialect | None = None,
    ) -> None:
        """Answer what was never accepted: it is counted and leaves no record."""
        self._counters.add(counter)
        body = dialect.error_body(error) if dialect is not None else error.body()
        self._answer(client, head, error, body, request_id=None)

    def _begin(self, admission: Admission, head: RequestHead, client: Client) -> Exchange | None:
        if not self._recorder.takes_records():
            dialect = self._dialects[admission.endpoint.dialect]
            self._turn_away(client, head, _journal_full(), "journal_full", dialect)
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
            admission.model,
            admission.extra_headers,
            admission.api_key_id,
            admission.trace_id,
        )
        self._counters.add("accepted")
        self._open.add(exchange)
        if slot is not None:
            return exchange
        self.fail(
            exchange,
            rejected(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many requests are in flight. Try again in a moment.",
                (b"Retry-After", b"%d" % RETRY_SECONDS),
            ),
        )
        return None

    def _read(self, exchange: Exchange) -> None:
        """The facts in the body.

        Raises:
            ProxyError: 400, the body is not what the endpoint takes.
        """
        exchange.facts.model = exchange.model_in_path
        if exchange.endpoint.body not in {"json", "form"}:
            return
        body = b"".join(exchange.body)
        exchange.body = [body]
        try:
            exchange.facts = self._dialects[exchange.endpoint.dialect].read_request(body)
        except UnreadableBodyError as error:
            raise rejected(HTTPStatus.BAD_REQUEST, "invalid_json", str(error)) from None

    def _answer(
        self, client: Client, head: RequestHead, error: ProxyError, body: bytes, *, request_id: str | None
    ) -> None:
        close = client.must_close(head)
        response = own_response(
            error.status,
            body,
            request_id=request_id,
            close=close,
            headers=error.headers,
            extra=self._cors.headers(head),
        )
        if head.method == b"HEAD":
            response = response[: response.index(b"\r\n\r\n") + 4]
        client.write(response)
        client.response_done(keep_alive=not close)

    def _is_enough(self, exchange: Exchange) -> bool:
        """Whether the upstream can be chosen by what is here of the body; then the rest is not held."""
        endpoint = exchange.endpoint
        if endpoint.body == "opaque":
            return True
        if exchange.request_bytes < exchange.look_again_at:
            return False
        exchange.look_again_at = 2 * exchange.request_bytes
        exchange.body = [b"".join(exchange.body)]
        if self._dialects[endpoint.dialect].read_request(exchange.body[0]).model is not None:
            return True
        if exchange.request_bytes < _HELD_FORM:
            return False
        if not self._routes.router.needs_model(endpoint.family):
            return True
        if exchange.request_bytes > self._most["json"]:
            self.fail(exchange, _model_too_late())
        return False

    def _too_large(self, endpoint: Endpoint) -> ProxyError:
        return rejected(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"The request body is larger than the {self._most[endpoint.body]} bytes allowed here.",
        )


def _model_too_late() -> ProxyError:
    return rejected(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "model_after_file",
        "The form names its model only after a large file. Send the field 'model' before the file.",
    )


def _unknown_url() -> ProxyError:
    return rejected(
        HTTPStatus.NOT_FOUND, "unknown_url", "There is no such endpoint here. The base URL ends in /v1."
    )


def _journal_full() -> ProxyError:
    return rejected(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "journal_full",
        "The record of this request would find no room. Try again in a moment.",
        (b"Retry-After", b"%d" % RETRY_SECONDS),
    )


def _wrong_method(methods: Mapping[bytes, Endpoint]) -> ProxyError:
    allowed = b", ".join(methods)
    message = f"This endpoint takes {allowed.decode()} only."
    return rejected(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, (b"Allow", allowed))


def _trace_id(head: RequestHead) -> str | None:
    """The trace the caller belongs to (W3C Trace Context)."""
    match = _TRACEPARENT.fullmatch(head.fields.get(b"traceparent", b""))
    return match[1].decode() if match else None

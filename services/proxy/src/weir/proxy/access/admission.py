"""Who asks for what? Worked out once for all requests with the same head."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from weir.proxy.access.keys import Keys
from weir.proxy.endpoints import Endpoint
from weir.proxy.errors import ProxyError, rejected
from weir.proxy.wire.trace_context import Trace, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.access.cors import Cors
    from weir.proxy.endpoints import EndpointTable
    from weir.proxy.exchange import RequestHead


class Admission(msgspec.Struct, frozen=True, gc=False):
    """What a head says once and for all."""

    keys: Keys
    """By which it was let in; after a reload it is decided anew."""
    endpoint: Endpoint
    model: str | None
    """Named by the path."""
    api_key_id: str | None
    extra_headers: bytes
    """Header lines of ours for whatever answer it gets."""
    trace: Trace | None
    """The caller's."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is not let in. It leaves no record."""

    error: ProxyError
    counter: str
    """Where it is counted."""
    dialect: str | None = None
    """How its client reads errors, if the endpoint is known."""


class Admissions:
    """The door: known endpoints, allowed origins, known clients."""

    def __init__(self, endpoints: EndpointTable, cors: Cors) -> None:
        self._endpoints = endpoints
        self._cors = cors

    def decide(self, head: RequestHead, keys: Keys) -> Admission | Refusal | bytes:
        """Who it is and what is asked for, or why not; bytes are the whole answer to a preflight."""
        found = self._endpoints.find(head.path)
        if found is None:
            return Refusal(_unknown_url(), "not_found")
        methods, model = found
        if (preflight := self._cors.preflight(head, methods)) is not None:
            return preflight
        endpoint = methods.get(head.method)
        if endpoint is None:
            return Refusal(_wrong_method(methods), "not_found")
        try:
            api_key_id = keys.identify(head)
        except ProxyError as error:
            return Refusal(error, "unauthorized", endpoint.dialect)
        return Admission(keys, endpoint, model, api_key_id, self._cors.headers(head), read_trace(head))


def _unknown_url() -> ProxyError:
    return rejected(
        HTTPStatus.NOT_FOUND, "unknown_url", "There is no such endpoint here. The base URL ends in /v1."
    )


def _wrong_method(methods: Mapping[bytes, Endpoint]) -> ProxyError:
    allowed = b", ".join(methods)
    message = f"This endpoint takes {allowed.decode()} only."
    return rejected(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, (b"Allow", allowed))

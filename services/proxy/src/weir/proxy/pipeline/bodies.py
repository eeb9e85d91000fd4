"""A request's body on its way in: how much it may have, how much of it is held, what it says."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from weir.proxy.errors import rejected
from weir.proxy.exchange import RequestFacts
from weir.proxy.providers.provider import UnreadableBodyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.endpoints import Endpoint
    from weir.proxy.errors import ProxyError
    from weir.proxy.exchange import Exchange
    from weir.proxy.providers.provider import Dialect
    from weir.proxy.routing.router import Router

_HELD_FORM: Final = 1 << 20
"""How much of a form is held in the hope that it names its model."""


class BodyLimits(msgspec.Struct, frozen=True):
    """How many bytes a request's body may have."""

    held: int
    sent_on: int
    """Of a form or a file, which goes on as it comes."""


class Bodies:
    """The rules for bodies, by what kind of body an endpoint takes."""

    def __init__(self, dialects: Mapping[str, Dialect], limits: BodyLimits) -> None:
        self._dialects = dialects
        self._held = limits.held
        self.most = {
            "json": limits.held,
            "none": limits.held,
            "form": limits.sent_on,
            "opaque": limits.sent_on,
        }

    def read(self, exchange: Exchange) -> None:
        """Take the facts from the body.

        Raises:
            ProxyError: 400, the body is not what the endpoint takes.
        """
        if exchange.endpoint.body not in {"json", "form"}:
            exchange.facts = RequestFacts(exchange.model_in_path)
            return
        body = b"".join(exchange.body)
        exchange.body = [body]
        try:
            exchange.facts = self._dialects[exchange.endpoint.dialect].read_request(body)
        except UnreadableBodyError as error:
            raise rejected(HTTPStatus.BAD_REQUEST, "invalid_json", str(error)) from None

    def is_enough(self, exchange: Exchange, router: Router) -> bool:
        """Whether the upstream can be chosen by what is here of a form or a file; then the rest is not held.

        Raises:
            ProxyError: 413, too much came without what decides.
        """
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
        if not router.needs_model(endpoint.family):
            return True
        if exchange.request_bytes > self._held:
            raise _model_too_late()
        return False

    def too_large(self, endpoint: Endpoint) -> ProxyError:
        return rejected(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"The request body is larger than the {self.most[endpoint.body]} bytes allowed here.",
        )


def _model_too_late() -> ProxyError:
    return rejected(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "model_after_file",
        "The form names its model only after a large file. Send the field 'model' before the file.",
    )

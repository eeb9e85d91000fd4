"""`GET /v1/models` and `GET /api/tags` over several upstreams: one list of what all of them serve."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from weir.events import Outcome
from weir.proxy.errors import upstream_failed
from weir.proxy.providers.json_bytes import json_object, text
from weir.proxy.wire.heads import own_response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.proxy.exchange import Exchange
    from weir.proxy.forwarding.forward import Forwarder
    from weir.proxy.forwarding.relay import Ending
    from weir.proxy.pipeline.routes import Routes
    from weir.proxy.upstream import Upstream
    from weir.servicekit.tasks import BackgroundTasks

logger = logging.getLogger(__name__)

MERGED: Final[Mapping[str, tuple[str, str]]] = {
    "models.list": ("data", "id"),
    "ollama.tags": ("models", "name"),
}
"""The operations that are merged: where their list stands, and the name of an item."""


class MergedModels:
    """Takes a listing of several upstreams, or of one that is not there for all it has."""

    def __init__(self, tasks: BackgroundTasks) -> None:
        self._tasks = tasks

    def handle(self, exchange: Exchange, routes: Routes, ending: Ending) -> bool:
        upstreams = routes.router.all_of(exchange.endpoint.family)
        if not upstreams or (len(upstreams) == 1 and _lists_itself(upstreams[0])):
            return False
        self._tasks.start("merge models", _end_with_list(exchange, upstreams, routes.forwarder, ending))
        return True


async def _end_with_list(
    exchange: Exchange, upstreams: Sequence[Upstream], forwarder: Forwarder, ending: Ending
) -> None:
    """Nobody waits for the task, so whatever comes of it ends the exchange in here."""
    try:
        await _merge(exchange, upstreams, forwarder, ending)
    except Exception:
        logger.exception("request failed", extra={"request_id": exchange.request_id})
        ending.fail_unforeseen(exchange)


async def _merge(
    exchange: Exchange, upstreams: Sequence[Upstream], forwarder: Forwarder, ending: Ending
) -> None:
    """Ask every upstream, and answer with the models of those that answered."""
    field, name = MERGED[exchange.endpoint.operation]
    bodies = await forwarder.fetch_all(exchange, upstreams)
    if not any(body is not None for body in bodies):
        ending.fail(exchange, upstream_failed("upstream_unreachable", "No model server lists its models."))
        return
    items: dict[str, Any] = {}
    for upstream, body in zip(upstreams, bodies, strict=True):
        for item in _listed(json_object(body or b"").get(field), name, upstream):
            items.setdefault(item[name], item)
    document: dict[str, Any] = {field: list(items.values())}
    if field == "data":
        document = {"object": "list", **document}
    _answer(exchange, msgspec.json.encode(document), ending)


def _listed(listed: object, name: str, upstream: Upstream) -> list[dict[str, Any]]:
    """The upstream's models under their public names; only those it is there for."""
    items = cast("list[Any]", listed) if isinstance(listed, list) else []
    known = [
        (real, cast("dict[str, Any]", item))
        for item in items
        if isinstance(item, dict) and (real := text(cast("dict[str, Any]", item).get(name))) is not None
    ]
    found: list[dict[str, Any]] = []
    for real, item in known:
        names = (real, *(alias for alias, renamed in upstream.rename.items() if renamed == real))
        found += [{**item, name: model} for model in names if upstream.serves(model)]
    return found


def _lists_itself(upstream: Upstream) -> bool:
    """Whether its own list says what it serves here; the in-process one is no address to ask."""
    return not upstream.url or not (upstream.models or upstream.rename)


def _answer(exchange: Exchange, body: bytes, ending: Ending) -> None:
    if exchange.recorded:
        return
    client, head = exchange.client, exchange.head
    close = client.must_close(head)
    exchange.outcome = Outcome.COMPLETED
    exchange.status_code = HTTPStatus.OK
    exchange.response_bytes = len(body)
    ending.record(exchange)
    client.write(
        own_response(
            HTTPStatus.OK, body, request_id=exchange.request_id, close=close, extra=exchange.extra_headers
        )
    )
    client.response_done(keep_alive=not close)

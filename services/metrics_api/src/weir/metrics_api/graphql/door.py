"""`/graphql` over HTTP: POST with JSON, one operation a request. GET runs nothing.

Protocol: GraphQL over HTTP, draft of 2025. Batches are not taken.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from aiohttp import hdrs, web

from weir.servicekit.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from weir.metrics_api.graphql.schema import Graph
    from weir.metrics_api.reports.reports import Reports

_RESPONSE: Final = "application/graphql-response+json"


def graphql(
    graph: Graph, reports: Callable[[web.Application], Reports]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of POST /graphql."""

    async def handler(request: web.Request) -> web.Response:
        query, variables, operation = _operation(await _body(request))
        answer = await graph.answer(reports(request.app), query, variables, operation)
        modern = _RESPONSE in request.headers.get(hdrs.ACCEPT, "")
        refused = modern and "data" not in answer
        return web.Response(
            status=HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK,
            body=orjson.dumps(answer, default=str),
            content_type=_RESPONSE if modern else "application/json",
            headers={"Cache-Control": "no-store"},
        )

    return handler


def sdl(graph: Graph) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of the schema in GraphQL's own language, which introspection would tell as well."""

    async def handler(_request: web.Request) -> web.Response:
        if not graph.introspection:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, "not_found", "The schema is not shown: WEIR_GRAPHQL_INTROSPECTION is 0."
            )
        return web.Response(text=graph.sdl, headers={"Cache-Control": "no-cache"})

    return handler


async def _body(request: web.Request) -> Any:
    if request.content_type != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send JSON, with the header Content-Type: application/json.",
        )
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise _refusal(f"The body is not JSON: {error.msg} at byte {error.pos}.") from None


def _operation(body: Any) -> tuple[str, dict[str, Any] | None, str | None]:
    if isinstance(body, list):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "batch_refused", "Batches are not taken; send one operation a request."
        )
    if not isinstance(body, dict):
        raise _refusal('The body is not an object; send {"query": "…"}.')
    parameters = cast("dict[str, Any]", body)
    query, variables = parameters.get("query"), parameters.get("variables")
    operation = parameters.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise _refusal('query is missing; send {"query": "{ summary { total { requests } } }"}.')
    if not isinstance(variables, dict | None):
        raise _refusal("variables is not an object.")
    if not isinstance(operation, str | None):
        raise _refusal("operationName is not a text.")
    return query, cast("dict[str, Any] | None", variables), operation


def _refusal(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, "invalid_request", detail)

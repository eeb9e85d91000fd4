"""`/api/requests`: single requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from weir.metrics_api.reports import requests as report
from weir.metrics_api.reports.filter import PARAMETERS, parse_filter
from weir.metrics_api.reports.time_range import parse_window
from weir.metrics_api.rest.context import STORE, json, now_ms
from weir.metrics_api.rest.parameters import parameters, whole_number
from weir.servicekit.errors import ProblemError

if TYPE_CHECKING:
    from aiohttp import web

WINDOW: Final = ("range", "from", "to")


async def list_requests(request: web.Request) -> web.Response:
    """The newest requests, a page at a time."""
    values = parameters(request, (*WINDOW, *PARAMETERS, "limit", "cursor"))
    window = parse_window(values.get("range"), values.get("from"), values.get("to"), now_ms(request.app))
    limit = whole_number(values, "limit", 50, report.MOST)
    found = await report.page(request.app[STORE], window, parse_filter(values), limit, values.get("cursor"))
    return json({"items": found.items, "next_cursor": found.next_cursor})


async def get_request(request: web.Request) -> web.Response:
    """One request by its `request_id`."""
    parameters(request, ())
    request_id = request.match_info["id"]
    found = await report.find(request.app[STORE], request_id)
    if found is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "not_found",
            f"there is no request {request_id[:64]!r}; the id is what x-weir-request-id said",
        )
    return json(found)

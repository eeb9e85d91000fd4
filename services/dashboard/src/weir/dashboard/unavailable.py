"""What is said when the metrics API cannot be reached: its address, and how to mend it."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from weir.dashboard.pages import page, wants_page
from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from typing import Final

_TITLE: Final = "Backend server not available"
_RETRY_SECONDS: Final = 5


class Absence(Enum):
    """In which way the metrics API is away: the status, what it does, and what to do about it."""

    UNREACHABLE = (
        HTTPStatus.BAD_GATEWAY,
        "The metrics API does not answer at `{url}`.",
        "Start it with `weir metrics-api`, or set `WEIR_BACKEND_URL` or `--backend-url` to where it listens.",
    )
    SILENT = (
        HTTPStatus.GATEWAY_TIMEOUT,
        "The metrics API at `{url}` took the request but did not answer in time.",
        "Its log and its `/readyz` say what holds it up; a shorter time range may answer sooner.",
    )


def unavailable(request: web.Request, backend_url: str, absence: Absence) -> web.Response:
    """A page for a person's browser, JSON for a script. The address is shown without its password."""
    status, what, fix = absence.value
    url = mask_url(backend_url)
    if wants_page(request):
        return page(
            status,
            _TITLE,
            what.format(url=url),
            fix,
            "This page tries again by itself.",
            retry_seconds=_RETRY_SECONDS,
        )
    body = {"error": _TITLE, "backend_url": url, "hint": fix.replace("`", "")}
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Retry-After": str(_RETRY_SECONDS)},
    )

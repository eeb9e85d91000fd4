"""`/api/setup` and `/api/system`: the dashboard's pages about Weir itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weir.metrics_api.live.hub import MOST_LISTENERS
from weir.metrics_api.reports import installation
from weir.metrics_api.rest.context import BUS, CLOCK, HUB, SETTINGS, STARTED_AT, STORE, json, now_ms, plain
from weir.metrics_api.rest.parameters import parameters
from weir.metrics_api.version import VERSION

if TYPE_CHECKING:
    from aiohttp import web


async def get_setup(request: web.Request) -> web.Response:
    """How to point a client at the proxies."""
    parameters(request, ())
    return json(await installation.setup(request.app[STORE], request.app[BUS], now_ms(request.app)))


async def get_system(request: web.Request) -> web.Response:
    """How the services, the stream and the database are."""
    parameters(request, ())
    app = request.app
    found = await installation.system(app[STORE], app[BUS], now_ms(app))
    if found["storage"] is not None:
        found["storage"]["retention"] = {
            "requests": plain(kept) if (kept := app[SETTINGS].retention_requests) else None,
            "5s": plain(app[SETTINGS].retention_5s),
            "1m": plain(app[SETTINGS].retention_1m),
        }
    metrics_api = {
        "version": VERSION,
        "started_at": app[STARTED_AT],
        "listeners": app[HUB].listeners,
        "max_listeners": MOST_LISTENERS,
    }
    return json({"now": app[CLOCK].now_us() // 1000, "metrics_api": metrics_api, **found})

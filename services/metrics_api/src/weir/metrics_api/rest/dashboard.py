"""`/api/status`, `/api/metrics`, `/api/config`: the live dashboard's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.metrics_api.reports import snapshot
from weir.metrics_api.rest.context import SETTINGS, STORE, TARGETS, encoded, json, now_ms, plain
from weir.metrics_api.rest.parameters import one_of, parameters
from weir.metrics_api.version import VERSION

if TYPE_CHECKING:
    from aiohttp import web

VARIANTS: Final = ("production", "canary", "all")
PERCENTILE_ERROR_PCT: Final = 1


async def get_status(request: web.Request) -> web.Response:
    parameters(request, ())
    return json(await snapshot.status(request.app[STORE], now_ms(request.app)))


async def get_metrics(request: web.Request) -> web.Response:
    values = parameters(request, ("range", "variant"))
    seconds = snapshot.RANGES[one_of(values, "range", snapshot.RANGES) or "1h"]
    variant = one_of(values, "variant", VARIANTS)
    found = await snapshot.snapshots(
        request.app[STORE], seconds, None if variant == "all" else variant, now_ms(request.app)
    )
    return encoded(found)


async def get_config(request: web.Request) -> web.Response:
    parameters(request, ())
    settings = request.app[SETTINGS]
    return json(
        {
            "scrape_interval": plain(settings.scrape_interval),
            "targets": request.app[TARGETS].states(),
            "version": VERSION,
            "retention": {"5s": plain(settings.retention_5s), "1m": plain(settings.retention_1m)},
            "database": request.app[STORE].kind,
            "percentile_error_pct": PERCENTILE_ERROR_PCT,
        }
    )

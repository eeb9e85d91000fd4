"""What the handlers need, under typed keys of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from aiohttp import web

from weir.metrics_api.live.hub import Hub
from weir.metrics_api.reports.installation import Bus
from weir.metrics_api.reports.pipeline import Reconciliation
from weir.metrics_api.settings import MetricsApiSettings
from weir.metrics_api.storage.port import Store
from weir.servicekit.clock import Clock

if TYPE_CHECKING:
    from weir.metrics_api.storage.port import Kept


class Targets(Protocol):
    """Who knows how the scrape targets are."""

    def states(self) -> list[dict[str, Any]]: ...


SETTINGS: Final = web.AppKey("settings", MetricsApiSettings)
STORE: Final[web.AppKey[Store]] = web.AppKey("store", Store)
HUB: Final = web.AppKey("hub", Hub)
TARGETS: Final[web.AppKey[Targets]] = web.AppKey("targets", Targets)
BUS: Final[web.AppKey[Bus]] = web.AppKey("bus", Bus)
RECONCILIATION: Final = web.AppKey("reconciliation", Reconciliation)
STARTED_AT: Final = web.AppKey("started_at", int)
"""Unix ms."""
CLOCK: Final[web.AppKey[Clock]] = web.AppKey("clock", Clock)


def now_ms(app: web.Application) -> int:
    return app[CLOCK].now_us() // 1000


def retention(app: web.Application) -> dict[Kept, float]:
    """Seconds that single requests and each level of roll-ups are kept."""
    settings = app[SETTINGS]
    return {
        "requests": settings.retention_requests or float("inf"),
        "5s": settings.retention_5s,
        "1m": settings.retention_1m,
        "1h": float("inf"),
        "1d": float("inf"),
    }


def plain(seconds: float) -> float:
    """Whole seconds as a whole number: the contract says 5, not 5.0."""
    return int(seconds) if seconds.is_integer() else seconds


def json(body: Any) -> web.Response:
    """An answer that is computed anew each time and must not be kept by anybody."""
    return encoded(msgspec.json.encode(body))


def encoded(body: bytes) -> web.Response:
    """The same of what is JSON already."""
    return web.Response(
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )

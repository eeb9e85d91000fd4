"""The gateway put together: the SPA, the way to the metrics API, and its own health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web

from weir.dashboard import security_headers
from weir.dashboard.backend import CONNECT_SECONDS, CONNECTIONS, Backend, is_relayed
from weir.dashboard.spa import Spa
from weir.servicekit.errors import problems
from weir.servicekit.health import Check, healthz, readyz
from weir.servicekit.hosts import Hosts, expected_hosts
from weir.servicekit.origins import Cors, guard_changes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from weir.dashboard.settings import DashboardSettings

OWN_NAME: Final = "dashboard"
"""What it is called among its containers."""
BACKEND = web.AppKey("backend", Backend)
SPA = web.AppKey("spa", Spa)


def create_app(settings: DashboardSettings) -> web.Application:
    """The gateway's application. A handler is cancelled as soon as its client leaves."""
    app = web.Application(
        middlewares=[
            problems,
            expected_hosts(Hosts(settings.hosts, settings.listen, own_name=OWN_NAME), "WEIR_DASHBOARD_HOSTS"),
            guard_changes(Cors(()), json_only=False),
        ],
        handler_args={"handler_cancellation": True},
    )
    app[SPA] = Spa(settings.spa_dir)

    async def backend(app: web.Application) -> AsyncIterator[None]:
        async with _session() as session:
            app[BACKEND] = Backend(settings.backend_url, session, settings.max_body)
            yield

    async def check_backend() -> Check:
        return await app[BACKEND].check()

    async def check_spa() -> Check:
        built = app[SPA].is_built
        return Check(ok=built, detail="built" if built else f"not built in {settings.spa_dir}")

    app.cleanup_ctx.append(backend)
    app.on_shutdown.append(_end_streams)
    app.on_response_prepare.append(security_headers.add)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz({"backend": check_backend, "spa": check_spa}))
    app.router.add_route("*", "/{path:.*}", _dispatch)
    return app


async def _dispatch(request: web.Request) -> web.StreamResponse:
    if is_relayed(request.rel_url.raw_path):
        return await request.app[BACKEND].relay(request)
    return await request.app[SPA].respond(request)


async def _end_streams(app: web.Application) -> None:
    app[BACKEND].end_streams()


def _session() -> aiohttp.ClientSession:
    """Connections to the backend: kept open, cookies and encodings left to the two ends."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
    )

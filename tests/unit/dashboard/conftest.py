"""The gateway in front of a backend, both on real sockets."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from weir.dashboard.app import create_app
from weir.dashboard.settings import DashboardSettings
from weir.servicekit.malformed import GuardedRunner
from weir.servicekit.run import start_site
from weir.servicekit.settings import load
from weir.servicekit.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp import web

    Serve = Callable[[web.Application], Awaitable[str]]
    Gateway = Callable[..., Awaitable[str]]

SCRIPT = b"console.log('weir')\n" * 50


@asynccontextmanager
async def _served(app: web.Application) -> AsyncGenerator[str]:
    runner = GuardedRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        yield (await start_site(runner, ListenAddress("127.0.0.1", 0), "TEST")).url
    finally:
        await runner.cleanup()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve an application on a free port; its URL."""
    async with AsyncExitStack() as stack:

        async def start(app: web.Application) -> str:
            return await stack.enter_async_context(_served(app))

        yield start


@pytest.fixture
def spa_dir(tmp_path: Path) -> Path:
    """A small build, and beside the folder a secret that a link leads to."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Weir</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-BxQ2.js").write_bytes(SCRIPT)
    (folder / "assets" / "index-BxQ2.js.br").write_bytes(b"as if compressed")
    (tmp_path / "secret.txt").write_text("not for the browser")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def gateway(serve: Serve, spa_dir: Path) -> Gateway:
    """Start the gateway in front of this backend; its URL."""

    async def start(backend_url: str = "http://127.0.0.1:1", **environ: str) -> str:
        settings = load(
            DashboardSettings, {"WEIR_SPA_DIR": str(spa_dir), "WEIR_BACKEND_URL": backend_url, **environ}
        )
        return await serve(create_app(settings))

    return start

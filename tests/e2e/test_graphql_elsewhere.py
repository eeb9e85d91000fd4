"""The pages built with an address of GraphQL, as the README says: they ask there, for the rest at home."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect
from tests.support.browser import Complaints, open_page
from tests.support.raw_http import post_json
from tests.support.waiting import eventually
from tests.support.weir import requests, start_weir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FRONTEND: Final = Path(__file__).parents[2] / "frontend"
BUILD_SECONDS: Final = 120


async def test_the_pages_ask_where_they_were_built_to_ask(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    weir = start_weir(tmp_path, {"WEIR_DEMO": "1", "WEIR_SPA_DIR": str(pages), "WEIR_API_CORS_ORIGINS": "*"})
    api = weir.announced["api_url"].rstrip("/")
    try:
        await asyncio.to_thread(build, pages, f"{api}/graphql")
        body = b'{"model": "demo", "messages": [{"role": "user", "content": "x"}]}'
        await post_json(weir.announced["proxy_url"], "/v1/chat/completions", body)
        await eventually(lambda: requests(weir), "the request is stored")

        async with web_server(weir.url, api) as url, open_page() as page:
            complaints = Complaints(page)
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            await page.goto(f"{url}/system")
            upstreams = page.get_by_role("region", name="Upstreams, a table")
            await expect(upstreams.get_by_role("row").filter(has_text="demo")).to_have_count(1)
            assert f"{api}/graphql" in asked
            assert f"{url}/graphql" not in asked
            assert f"{url}/api/system" in asked
            assert complaints.all == []
    finally:
        assert await asyncio.to_thread(weir.stop, 40) == 0, weir.stderr


@asynccontextmanager
async def web_server(gateway: str, api: str) -> AsyncGenerator[str]:
    """A web server of one's own before the gateway, whose policy names the API's origin; its address."""
    async with aiohttp.ClientSession(gateway, auto_decompress=False) as session:

        async def relay(request: web.Request) -> web.StreamResponse:
            async with session.get(request.rel_url, headers=request.headers) as answer:
                headers = answer.headers.copy()
                headers.popall("Transfer-Encoding", None)
                policy = headers["Content-Security-Policy"]
                headers["Content-Security-Policy"] = policy.replace(
                    "connect-src 'self'", f"connect-src 'self' {api}"
                )
                response = web.StreamResponse(status=answer.status, headers=headers)
                await response.prepare(request)
                async for data in answer.content.iter_any():
                    await response.write(data)
                return response

        app = web.Application(handler_args={"handler_cancellation": True})
        app.router.add_get("/{path:.*}", relay)
        async with TestServer(app) as server:
            yield str(server.make_url("")).rstrip("/")


def build(pages: Path, graphql_url: str) -> None:
    """Build the pages into a folder of their own, as `make setup` does into `frontend/dist`."""
    command = ["npm", "run", "--silent", "build", "--", "--logLevel", "warn", "--outDir", str(pages)]
    done = subprocess.run(
        command,
        cwd=FRONTEND,
        env={**os.environ, "VITE_GRAPHQL_URL": graphql_url},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

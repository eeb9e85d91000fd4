"""The dashboard behind nginx, configured as the README says: pages, API and live events."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect
from tests.support.browser import Complaints, open_page
from tests.support.raw_http import fetch, post_json
from tests.support.redis_server import free_port
from tests.support.waiting import eventually
from tests.support.weir import start_weir

README: Final = Path(__file__).parents[2] / "README.md"
_AROUND: Final = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {server}
}}
"""


def documented_server(listen: int, dashboard: str) -> str:
    """The server block of the README, on other ports and without TLS."""
    found = re.search(r"```nginx\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, "the README has an nginx block"
    return (
        found[1]
        .replace("listen 443 ssl;", f"listen 127.0.0.1:{listen};")
        .replace("http://127.0.0.1:3000", dashboard.rstrip("/"))
    )


@pytest.fixture
def nginx_port() -> int:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    return free_port()


async def test_pages_and_live_events_pass_unbuffered(nginx_port: int, tmp_path: Path) -> None:
    hosts = {"WEIR_DEMO": "1", "WEIR_DASHBOARD_HOSTS": "weir.example.org"}
    weir = start_weir(tmp_path, hosts)
    folder = tmp_path / "nginx"
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(_AROUND.format(folder=folder, server=documented_server(nginx_port, weir.url)))
    command = ("nginx", "-p", str(folder), "-c", str(configuration), "-g", "daemon off;")
    nginx = await asyncio.create_subprocess_exec(*command)
    url = f"http://127.0.0.1:{nginx_port}"
    try:
        await eventually(lambda: _answers(url), "nginx answers", 30)
        await _live(url, weir.announced["proxy_url"])
    finally:
        nginx.terminate()
        await nginx.wait()
        assert await asyncio.to_thread(weir.stop, 40) == 0, weir.stderr


async def _answers(url: str) -> bool:
    try:
        return (await fetch(url, "GET", "/healthz")).status == 200
    except OSError:
        return False


async def _live(url: str, proxy: str) -> None:
    body = b'{"model": "demo", "messages": [{"role": "user", "content": "x"}]}'
    async with open_page() as page:
        complaints = Complaints(page)
        await page.goto(f"{url}/setup")
        await expect(page.get_by_text("Waiting for your first request…")).to_be_visible()
        await page.goto(url)
        await post_json(proxy, "/v1/chat/completions", body)
        feed = page.get_by_role("region", name="Live requests")
        await expect(feed.get_by_role("listitem").filter(has_text="demo")).to_have_count(1)
        await expect(page.get_by_role("contentinfo")).to_contain_text("live")

        await post_json(proxy, "/v1/chat/completions", body)
        await expect(feed.get_by_role("listitem").filter(has_text="demo")).to_have_count(2)
        assert complaints.all == []

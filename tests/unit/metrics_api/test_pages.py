"""The API's own pages: local files, nothing from elsewhere, under a strict policy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from weir.metrics_api.pages import serve
from weir.servicekit.errors import problems

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    app = web.Application(middlewares=[problems])
    app.router.add_get("/api/docs", serve.page("api.html"))
    app.router.add_get("/api/docs/{name}", serve.get_file)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("name", sorted(serve.FILES))
async def test_every_file_is_served_and_loads_nothing_from_elsewhere(
    client: TestClient[Any, Any], name: str
) -> None:
    answer = await client.get(f"/api/docs/{name}")
    assert answer.status == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    text = await answer.text()
    assert not re.findall(r"https?://", text)
    assert "style=" not in text, "the policy allows no inline style"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    for loaded in re.findall(r'(?:src|from|stylesheet" href)=? ?"([^"]+)"', text):
        assert loaded.rpartition("/")[2] in serve.FILES, loaded


async def test_the_policy_allows_only_own_files(client: TestClient[Any, Any]) -> None:
    policy = (await client.get("/api/docs")).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("name", ["serve.py", "__init__.py", "..%2fserve.py", "%2e%2e", "nothing.js"])
async def test_no_other_file_can_be_had(client: TestClient[Any, Any], name: str) -> None:
    assert (await client.get(f"/api/docs/{name}")).status == 404

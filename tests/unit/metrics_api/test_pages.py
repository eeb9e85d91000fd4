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
    from pathlib import Path


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
        assert loaded.rpartition("/")[2] in serve.FILES | serve.GRAPHIQL, loaded


@pytest.mark.parametrize("name", sorted(serve.GRAPHIQL))
async def test_graphiql_is_served_compressed_and_fits_the_policy(
    client: TestClient[Any, Any], name: str
) -> None:
    assert (serve.GRAPHIQL_FOLDER / name).is_file(), "build it first: make setup"
    answer = await client.get(f"/api/docs/{name}", headers={"Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_type == {"js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]]
    text = await answer.text()
    assert len(text) > 10_000
    assert not re.search(r"@font-face|@import|url\(.?https?:|new Function|\beval\(", text)
    tag = answer.headers["ETag"]
    again = await client.get(f"/api/docs/{name}", headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert again.status == 304


async def test_without_graphiql_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    app = web.Application(middlewares=[problems])
    app.router.add_get("/graphql", serve.graphql_page(tmp_path))
    async with TestClient(TestServer(app)) as client:
        missing = await client.get("/graphql")
        assert missing.status == 503
        assert "make setup" in await missing.text()
        for name in serve.GRAPHIQL:
            (tmp_path / name).touch()
        built = await client.get("/graphql")
        assert built.status == 200
        assert "/api/docs/graphiql.js" in await built.text()


async def test_the_policy_allows_only_own_files(client: TestClient[Any, Any]) -> None:
    policy = (await client.get("/api/docs")).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("name", ["serve.py", "__init__.py", "..%2fserve.py", "%2e%2e", "nothing.js"])
async def test_no_other_file_can_be_had(client: TestClient[Any, Any], name: str) -> None:
    assert (await client.get(f"/api/docs/{name}")).status == 404

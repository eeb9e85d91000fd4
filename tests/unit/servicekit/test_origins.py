"""Which web pages may call a server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import TypeAdapter, ValidationError

from weir.servicekit.errors import problems
from weir.servicekit.origins import Cors, Origins, guard_changes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PAGE = "https://app.example.com"
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def served(*origins: str) -> AsyncGenerator[TestClient[Any, Any]]:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    cors = Cors(origins)
    app = web.Application(middlewares=[problems, cors.middleware(), guard_changes(cors, json_only=True)])
    app.on_response_prepare.append(cors.add_headers)
    app.router.add_get("/", hello)
    app.router.add_post("/", hello)
    async with TestClient(TestServer(app)) as client:
        yield client


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }


async def test_without_origins_nothing_is_said_to_any_page() -> None:
    async with served() as client:
        answer = await client.get("/", headers={"Origin": PAGE})
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        refused = await client.options("/", headers=preflight(PAGE))
        assert refused.status == 405
        assert not [name for name in refused.headers if name.lower().startswith("access-control")]


async def test_an_allowed_origin_may_read_and_is_told_so_by_preflight() -> None:
    async with served(PAGE) as client:
        answer = await client.get("/", headers={"Origin": PAGE})
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        allowed = await client.options("/", headers=preflight(PAGE))
        assert allowed.status == 204
        assert allowed.headers["Access-Control-Allow-Origin"] == PAGE
        assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
        assert "content-type" in allowed.headers["Access-Control-Allow-Headers"].lower()
        posted = await client.post("/", json={}, headers={"Origin": PAGE, "Sec-Fetch-Site": "cross-site"})
        assert posted.status == 200


async def test_errors_carry_the_headers_too() -> None:
    async with served(PAGE) as client:
        answer = await client.get("/nothing", headers={"Origin": PAGE})
        assert answer.status == 404
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE


async def test_another_origin_is_not_allowed_but_caches_know_that_it_matters() -> None:
    async with served(PAGE) as client:
        for origin in ("https://evil.example", "http://app.example.com", f"{PAGE}:8443", "null"):
            answer = await client.get("/", headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Vary"] == "Origin"
            assert (await client.options("/", headers=preflight(origin))).status == 405


async def test_a_star_allows_all() -> None:
    async with served("*") as client:
        answer = await client.get("/", headers={"Origin": "https://any.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:5173"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://weir.lan:3000", "Host": "weir.lan:3000"},
        {"Origin": "https://weir.lan", "Host": "weir.lan:443"},
        {"Origin": "http://weir.lan:3000", "X-Forwarded-Host": "weir.lan:3000"},
    ],
)
async def test_own_pages_and_programs_may_change_things(headers: dict[str, str]) -> None:
    async with served() as client:
        assert (await client.post("/", json={}, headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": PAGE},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://weir.lan:5173", "Host": "weir.lan:3000"},
    ],
)
async def test_pages_of_other_sites_may_not(headers: dict[str, str]) -> None:
    async with served() as client:
        answer = await client.post("/", json={}, headers=headers)
        assert answer.status == 403
        assert (await answer.json(content_type=None))["code"] == "cross_site"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
async def test_what_a_form_can_send_is_refused(content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    async with served() as client:
        answer = await client.post(
            "/", data=b"{}", headers=headers, skip_auto_headers=() if content_type else ("Content-Type",)
        )
        assert answer.status == 415
        assert "Content-Type: application/json" in await answer.text()


def test_the_setting_is_read_strictly() -> None:
    adapter: TypeAdapter[tuple[str, ...]] = TypeAdapter(Origins)
    assert adapter.validate_python("https://A.example/, http://localhost:5173") == (
        "https://a.example",
        "http://localhost:5173",
    )
    for wrong in ("a.example", "https://a.example/path", "ftp://a.example", "https://"):
        with pytest.raises(ValidationError, match="is not an origin"):
            adapter.validate_python(wrong)

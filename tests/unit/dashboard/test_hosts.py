"""The gateway answers for its own names, and relays no change that another site's page asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from tests.unit.dashboard.conftest import Gateway, Serve


async def test_strange_hosts_get_neither_pages_nor_the_api(gateway: Gateway) -> None:
    url = await gateway(WEIR_DASHBOARD_HOSTS="weir.example")
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/requests", "/assets/index-BxQ2.js", "/api/status", "/graphql", "/healthz"):
            async with session.get(url + path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 421
                assert "WEIR_DASHBOARD_HOSTS" in await answer.text()
        for host in ("weir.example", "weir.example:8443", "dashboard:3000", "localhost:3000"):
            async with session.get(url, headers={"Host": host}) as answer:
                assert answer.status == 200


async def test_changes_asked_for_by_another_site_are_not_relayed(gateway: Gateway, serve: Serve) -> None:
    seen: list[str] = []

    async def graphql(request: web.Request) -> web.Response:
        seen.append(request.headers["X-Forwarded-Host"])
        return web.json_response({})

    backend = web.Application()
    backend.router.add_post("/graphql", graphql)
    url = await gateway(await serve(backend))
    async with aiohttp.ClientSession() as session:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            async with session.post(f"{url}/graphql", json={}, headers=headers) as answer:
                assert answer.status == 403
        assert seen == []
        own = {"Origin": url}
        async with session.post(f"{url}/graphql", json={}, headers=own) as answer:
            assert answer.status == 200
    assert seen == [url.removeprefix("http://")]

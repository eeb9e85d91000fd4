"""Which hosts a server answers for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import TypeAdapter, ValidationError

from weir.servicekit.errors import problems
from weir.servicekit.hosts import HostNames, Hosts, expected_hosts
from weir.servicekit.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOCAL = ListenAddress("127.0.0.1", 8002)
EVERYWHERE = ListenAddress("0.0.0.0", 8002)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:3000",
        "LOCALHOST:1",
        "127.0.0.1:8002",
        "[::1]:8002",
        "[::1]",
        "app.localhost:5173",
        "metrics-api:8002",
        "metrics-api.",
        "weir.example.com",
        "weir.example.com:443",
        "a.b.example.org",
    ],
)
def test_own_names_are_expected_with_any_port(host: str) -> None:
    assert Hosts(("weir.example.com", ".example.org"), LOCAL, own_name="metrics-api").expects(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8002",
        "localhost.evil.example",
        "evil.example.org.evil",
        "127.0.0.1.nip.io",
        "10.0.0.5:8002",
        "0.0.0.0:8002",
        "",
        ":8002",
        "localhost:8002:1",
        "localhost@evil.example",
        "a b",
        "[::1",
        "xlocalhost",
        "example.org",
        "localhost\x00",
    ],
)
def test_others_are_not(host: str) -> None:
    assert not Hosts(("weir.example.com", ".example.org"), LOCAL, own_name="metrics-api").expects(host)


def test_who_listens_on_every_address_is_reached_by_each_but_not_by_a_strange_name() -> None:
    hosts = Hosts((), EVERYWHERE, own_name="dashboard")
    assert hosts.expects("192.168.1.5:3000")
    assert hosts.expects("[fd00::5]:3000")
    assert not hosts.expects("rebound.evil.example:3000")


def test_the_listen_host_is_expected() -> None:
    hosts = Hosts((), ListenAddress("weir.lan", 3000), own_name="dashboard")
    assert hosts.expects("weir.lan:3000")
    assert not hosts.expects("192.168.1.5")


def test_a_star_expects_everything() -> None:
    assert Hosts(("*",), LOCAL, own_name="dashboard").expects("anything.example")


def test_the_setting_is_read_strictly() -> None:
    adapter: TypeAdapter[tuple[str, ...]] = TypeAdapter(HostNames)
    assert adapter.validate_python("a.example, .b.example,*,[::1]") == (
        "a.example",
        ".b.example",
        "*",
        "[::1]",
    )
    for wrong in ("http://a.example", "a.example:80", "a example", "a/b"):
        with pytest.raises(ValidationError, match="is not a host name"):
            adapter.validate_python(wrong)


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    hosts = Hosts((), LOCAL, own_name="metrics-api")
    app = web.Application(middlewares=[problems, expected_hosts(hosts, "WEIR_API_HOSTS")])
    app.router.add_get("/", hello)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_rebound_name_gets_421_and_the_setting(
    client: TestClient[web.Request, web.Application],
) -> None:
    answer = await client.get("/", headers={"Host": "evil.example:8002"})
    assert answer.status == 421
    problem = await answer.json(content_type="application/problem+json")
    assert problem["code"] == "unexpected_host"
    assert "'evil.example'" in problem["detail"]
    assert "WEIR_API_HOSTS" in problem["detail"]


async def test_an_odd_host_is_refused_and_not_repeated(
    client: TestClient[web.Request, web.Application],
) -> None:
    answer = await client.get("/", headers={"Host": "<script>"})
    assert answer.status in {400, 421}
    assert "script" not in await answer.text()
    assert (await client.get("/nothing", headers={"Host": "evil.example"})).status == 421
    assert (await client.get("/")).status == 200

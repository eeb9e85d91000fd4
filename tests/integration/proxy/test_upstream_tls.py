"""Upstreams over TLS: they must prove who they are, sessions are resumed, a reload changes the authority."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio
from tests.support.certificates import Authority, Pair, self_signed
from tests.support.fake_llm import FakeLLM
from tests.support.proxy import ask
from tests.support.records import marker
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNTRUSTED: Final = "upstream_tls_untrusted"
REFUSED: Final = {
    "self": UNTRUSTED,
    "stranger": UNTRUSTED,
    "system": UNTRUSTED,
    "name": "upstream_tls_wrong_name",
    "address": "upstream_tls_wrong_name",
    "expired": "upstream_tls_expired",
    "plain": "upstream_tls",
}
"""Upstreams that must not get a request, and the code by which clients are told why."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fakes(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, FakeLLM]]:
    """A model server for each kind of certificate."""
    directory = tmp_path_factory.mktemp("certificates")
    pairs: dict[str, Pair] = {
        "good": authority.sign("good"),
        "closing": authority.sign("closing"),
        "old": authority.sign("old"),
        "self": self_signed(directory),
        "stranger": Authority(directory / "stranger").sign("stranger"),
        "system": authority.sign("system"),
        "name": authority.sign("name", "DNS:elsewhere.test"),
        "address": authority.sign("address", "IP:192.0.2.1"),
        "expired": authority.sign("expired", days=-1),
    }
    async with AsyncExitStack() as stack:
        served: dict[str, FakeLLM] = {}
        for name, pair in pairs.items():
            context = pair.server()
            if name == "old":
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            served[name] = await stack.enter_async_context(FakeLLM(tls=context))
        yield served


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "weir.yaml"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain() -> AsyncIterator[str]:
    """The URL of a server that speaks HTTP alone."""

    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(scope="module")
def urls(fakes: dict[str, FakeLLM], plain: str) -> dict[str, str]:
    """Where each is, under the name by which it has to prove itself."""
    found = {name: fake.url for name, fake in fakes.items()} | {"plain": plain}
    return found | {"name": found["name"].replace("127.0.0.1", "localhost")}


@pytest.fixture(scope="module")
def proxy_settings(
    authority: Authority, config: Path, urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """`good` proves itself to its own `ca`, `closing` and `old` to everybody's; `system` to nobody known."""
    other = Authority(tmp_path_factory.mktemp("other"))
    config.with_name("own.pem").write_bytes(authority.pair.certificate.read_bytes())
    config.with_name("other.pem").write_bytes(other.pair.certificate.read_bytes())
    write(config, urls, good="own.pem", system="other.pem")
    return {"WEIR_CONFIG": str(config), "WEIR_UPSTREAM_CA": str(authority.pair.certificate)}


def write(config: Path, urls: dict[str, str], **authorities: str) -> None:
    upstreams: list[dict[str, Any]] = []
    for name, url in urls.items():
        upstream = {"name": name, "url": url, "models": [f"{name}-*"], "rename": {name: "answer"}}
        if name in authorities:
            upstream["ca"] = authorities[name]
        upstreams.append(upstream)
    _write(config, upstreams)


def _write(config: Path, upstreams: list[dict[str, Any]]) -> None:
    config.write_text(json.dumps({"upstreams": upstreams}))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["good", "closing", "old"])
async def test_one_that_proves_itself_is_used(
    proxy: Process, records: Records, name: str, stream: bool
) -> None:
    mark = marker()
    answer = await ask(proxy.url, name, mark, stream=stream)
    assert answer.status == 200
    record = await records.of(mark)
    assert (record.upstream, record.outcome) == (name, "completed")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", REFUSED)
async def test_one_that_does_not_gets_no_request(
    fakes: dict[str, FakeLLM], proxy: Process, records: Records, name: str, stream: bool
) -> None:
    mark = marker()
    answer = await ask(proxy.url, name, mark, stream=stream)
    assert answer.status == 502
    assert (answer.error["type"], answer.error["code"]) == ("upstream_error", REFUSED[name])
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == ("upstream_error", 502)
    assert (record.error_type, record.retries) == (REFUSED[name], 0)
    assert name not in fakes or fakes[name].requests(mark) == []


@pytest.mark.parametrize("name", ["closing", "old"])
async def test_new_connections_resume_the_session(
    fakes: dict[str, FakeLLM], proxy: Process, name: str
) -> None:
    """Keep-alive saves most handshakes; where an upstream closes each connection, tickets do."""
    fake = fakes[name]
    await _closing_ask(fake, proxy, name)
    connections, resumed = fake.connections, fake.resumed
    for _ in range(5):
        await _closing_ask(fake, proxy, name)
    assert fake.connections == connections + 5
    assert fake.resumed == resumed + 5


async def _closing_ask(fake: FakeLLM, proxy: Process, name: str) -> None:
    """A request whose connection the upstream closes. The next one has to open its own."""
    answer = await ask(proxy.url, f"{name}-say:say-close", marker())
    assert answer.status == 200


async def test_a_handshake_that_stalls_is_a_timeout(
    config: Path, urls: dict[str, str], proxy: Process, records: Records
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # the kernel answers, and nobody else
        url = f"https://127.0.0.1:{nobody.getsockname()[1]}"
        upstream = {"name": "stalls", "url": url, "timeouts": {"connect": "200ms"}}
        _write(config, [upstream])
        proxy.send(signal.SIGHUP)

        async def stalls() -> bool:
            mark = marker()
            answer = await ask(proxy.url, "stalls", mark)
            record = await records.of(mark)
            return (answer.status, record.upstream, record.outcome) == (504, "stalls", "timeout")

        await eventually(stalls, "the handshake is given up")
    write(config, urls, good="own.pem", system="other.pem")
    proxy.send(signal.SIGHUP)

    async def back() -> bool:
        return (await ask(proxy.url, "good", marker())).status == 200

    await eventually(back, "the upstreams are there again")


async def test_a_reload_takes_another_authority(config: Path, proxy: Process) -> None:
    """Who was trusted before has to prove itself again, and the session of before does not speak for it."""

    async def answers(name: str, status: int) -> bool:
        return (await ask(proxy.url, name, marker())).status == status

    assert await answers("system", 502)
    assert await answers("good", 200)
    own, other, aside = (config.with_name(name) for name in ("own.pem", "other.pem", "aside.pem"))
    for source, target in ((own, aside), (other, own), (aside, other)):
        shutil.copy(source, target)
    proxy.send(signal.SIGHUP)
    await eventually(lambda: answers("system", 200), "it is trusted now")
    assert await answers("good", 502)

"""HAProxy with deploy/config/haproxy.cfg in front of real proxies that a name server finds for it."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.support.dns_server import NameServer
from tests.support.fake_llm import FakeLLM
from tests.support.images import CHECKOUT
from tests.support.load import Ledger
from tests.support.processes import Process, start
from tests.support.proxy import CHAT, ask, completion, start_proxy
from tests.support.raw_http import Answer, Connection, IncompleteAnswerError, fetch
from tests.support.records import Records, marker
from tests.support.redis_server import RedisServer, free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONFIG: Final = CHECKOUT / "deploy/config/haproxy.cfg"
HAPROXY: Final = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
FIRST: Final = "127.0.0.21"
SECOND: Final = "127.0.0.22"
THIRD: Final = "127.0.0.23"
FOURTH: Final = "127.0.0.24"

pytestmark = [
    pytest.mark.skipif(HAPROXY is None, reason="no haproxy on this machine: apt-get install haproxy"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 at hand"),
]


def test_the_configuration_is_valid() -> None:
    assert HAPROXY
    done = subprocess.run(
        [HAPROXY, "-c", "-f", CONFIG], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stderr


class Cluster:
    """One load balancer, and proxies at addresses of their own that all share one data folder."""

    def __init__(self, directory: Path, names: NameServer, fake: FakeLLM, redis: RedisServer) -> None:
        self.fake = fake
        self.redis = redis
        self.names = names
        self.data = directory / "data"
        self.port = free_port()
        self.admin_port = free_port()
        self.public_port = free_port()
        self.health_port = free_port()
        self.proxies: dict[str, Process] = {}
        self._config = directory / "haproxy.cfg"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.public_port}"

    def start_proxy(self, address: str) -> None:
        """Another container of the service `proxy`, as the compose file sets it up."""
        self.proxies[address] = start_proxy(
            self.redis.url,
            self.data,
            {
                "WEIR_PROXY_LISTEN": f"{address}:{self.port}",
                "WEIR_PROXY_ADMIN_LISTEN": f"{address}:{self.admin_port}",
                "WEIR_PROXY_PROTOCOL": "1",
                "WEIR_PROXY_ID": "proxy",
                "WEIR_UPSTREAM_URL": self.fake.url,
            },
        )
        self.names.addresses["proxy"] = [*self.names.addresses.get("proxy", []), address]

    def start_balancer(self) -> Process:
        """The file as it is, but for where things are, and for how many files this machine lets it open."""
        text = CONFIG.read_text()
        for ours, here in (
            ("maxconn 10000", "maxconn 500"),
            ("bind :8001", f"bind 127.0.0.1:{self.public_port}"),
            ("127.0.0.1:8404", f"127.0.0.1:{self.health_port}"),
            ("127.0.0.11:53", f"127.0.0.1:{self.names.port}"),
            ("port 9001", f"port {self.admin_port}"),
            ("proxy:8001", f"proxy:{self.port}"),
        ):
            assert text.count(ours) == 1, ours
            text = text.replace(ours, here)
        self._config.write_text(text)
        assert HAPROXY
        return start([HAPROXY, "-db", "-f", str(self._config)], {}, announces=False)

    async def is_healthy(self) -> bool:
        try:
            health = await fetch(f"http://127.0.0.1:{self.health_port}", "GET", "/healthz")
        except OSError:
            return False
        return health.status == 200


@pytest_asyncio.fixture
async def cluster(tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(NameServer())
        fake = await stack.enter_async_context(FakeLLM(pace=0.02))
        cluster = Cluster(tmp_path, names, fake, redis_server)
        cluster.start_proxy(FIRST)
        balancer = cluster.start_balancer()
        try:
            await eventually(cluster.is_healthy, "the balancer has found a proxy")
            yield cluster
        finally:
            balancer.kill9()
            for proxy in cluster.proxies.values():
                if proxy.running():
                    proxy.kill9()


async def test_the_clients_address_arrives_upstream(cluster: Cluster) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", cluster.public_port, local_addr=("127.0.0.77", 0)
    )
    async with Connection(reader, writer, "weir.example") as connection:
        body = json.dumps(completion("demo", "who-is-it")).encode()
        await connection.request("POST", CHAT, [("Content-Type", "application/json")], body)
        answer = await connection.answer()
    assert answer.status == 200
    received = await cluster.fake.request("who-is-it")
    assert received.header("x-forwarded-for") == "127.0.0.77"


async def test_more_proxies_are_found_and_a_dead_one_is_left_out(cluster: Cluster) -> None:
    cluster.start_proxy(SECOND)

    async def both_serve() -> bool:
        for _ in range(4):
            assert (await ask(cluster.url, "demo", marker())).status == 200
        return all([await _accepted(cluster, address) for address in (FIRST, SECOND)])

    await eventually(both_serve, "both proxies get requests", deadline=30)

    cluster.proxies[FIRST].kill9()
    cluster.names.addresses["proxy"].remove(FIRST)
    for _ in range(20):
        assert (await _ask_again_if_cut(cluster.url)).status == 200


async def test_a_proxy_that_stops_finishes_its_streams_and_gets_no_new_requests(cluster: Cluster) -> None:
    cluster.start_proxy(SECOND)
    streams = [
        asyncio.create_task(ask(cluster.url, "demo", marker(), stream=True, max_tokens=40)) for _ in range(8)
    ]

    async def under_way() -> bool:
        return len(cluster.fake.received) >= len(streams)

    await eventually(under_way, "the streams are under way")
    assert not any(stream.done() for stream in streams)
    stopping = asyncio.create_task(asyncio.to_thread(cluster.proxies[FIRST].stop))
    while not stopping.done():
        assert (await _ask_again_if_cut(cluster.url)).status == 200
    assert await stopping == 0
    answers = await asyncio.gather(*streams)
    assert all(answer.body.endswith(b"data: [DONE]\n\n") for answer in answers)


async def test_a_rolling_restart_fails_no_request(cluster: Cluster) -> None:
    """Each proxy is replaced while clients keep asking on kept connections; streams end where they began."""
    cluster.start_proxy(SECOND)
    ledger = Ledger(cluster.url)

    async def roll() -> None:
        await ledger.more(10)
        for old, new in ((FIRST, THIRD), (SECOND, FOURTH)):
            await asyncio.to_thread(cluster.start_proxy, new)

            async def serves(new: str = new) -> bool:
                assert (await ask(cluster.url, "demo", marker())).status == 200
                return await _accepted(cluster, new) > 0

            await eventually(serves, "the new proxy gets requests", deadline=30)
            assert await asyncio.to_thread(cluster.proxies[old].stop, 40) == 0
            cluster.names.addresses["proxy"].remove(old)
            await ledger.more(10)

    await ledger.load(4, roll)
    assert ledger.whole
    async with Redis.from_url(cluster.redis.url) as redis:
        records = Records(redis)
        await records.of_all(ledger.whole, deadline=30)
        await records.read()
    assert {event.outcome for event in records.events} == {"completed"}
    # A connection may close just when its client sends the next request: that one was never begun, and
    # clients send it again.
    assert not any(records.has(mark) for mark in ledger.broken)


async def test_what_a_removed_container_left_is_found_by_the_next(cluster: Cluster) -> None:
    cluster.start_proxy(SECOND)
    assert {path.name for path in (cluster.data / "journal").iterdir()} == {"proxy", "proxy-2"}
    cluster.redis.stop()
    name = marker()
    assert (await ask(cluster.url, "demo", name)).status == 200
    for address in (FIRST, SECOND):
        cluster.proxies[address].kill9()
    cluster.redis.start()
    cluster.start_proxy(THIRD)
    cluster.start_proxy(FOURTH)
    async with Redis.from_url(cluster.redis.url) as redis:
        record = await Records(redis, repeats_allowed=True).of(name)
    assert record.proxy_id in {"proxy", "proxy-2"}
    assert record.outcome == "completed"


async def _ask_again_if_cut(url: str) -> Answer:
    """As clients do: a connection that a closing socket had not taken yet is made once more."""
    try:
        return await ask(url, "demo", marker())
    except (ConnectionError, IncompleteAnswerError):
        return await ask(url, "demo", marker())


async def _accepted(cluster: Cluster, address: str) -> int:
    metrics = await fetch(f"http://{address}:{cluster.admin_port}", "GET", "/metrics")
    (line,) = re.findall(r"^weir_proxy_accepted_total (\S+)$", metrics.body.decode(), re.MULTILINE)
    return int(float(line))

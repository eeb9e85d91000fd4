"""Shipping to Redis behind Sentinels, as a Cluster, with users and TLS: real servers, real failures."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from redis import Redis as BlockingRedis
from redis.crc import key_slot
from tests.support.redis_server import RedisServer
from tests.support.redis_topologies import Cluster, Sentinels, TlsRedis, program_with_tls
from tests.support.waiting import eventually

from weir.events.accounts import Account, publish_accounts, read_accounts
from weir.events.heartbeat import Heartbeat, VariantLoad, publish, read_all
from weir.events.reader import client
from weir.events.redis_url import check_redis_url
from weir.events.stream import FIELD, GROUP, REQUESTS, request_streams
from weir.events.writer import StreamUnavailableError, StreamWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from redis.asyncio import Redis

PROGRAM = program_with_tls()
needs_tls = pytest.mark.skipif(
    PROGRAM is None, reason="no Redis with TLS on this machine: apt-get install redis-tools"
)
BEAT = Heartbeat(
    proxy_id="p", boot_id="b", version="1", started_at=1, sent_at=2, workers=1, max_in_flight=1,
    variants={"production": VariantLoad(in_flight=0)},
    accepted=1, journaled=1, acknowledged=1, dropped=0,
)  # fmt: skip


def stored(redis: BlockingRedis, stream: str = REQUESTS) -> list[bytes]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis.xrange(stream))
    return [fields[FIELD.encode()] for _, fields in entries]


async def written(writer: StreamWriter, payloads: Sequence[bytes]) -> None:
    """Send until all is confirmed, as the shipper does, for a bounded time."""
    left = payloads

    async def done() -> bool:
        nonlocal left
        try:
            await writer.write(left)
        except StreamUnavailableError as error:
            left = error.left
            return False
        return True

    await eventually(done, "everything is confirmed", deadline=30, step=0.05)


# -- users and TLS


@pytest.fixture
def acl_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """One that a user `proxy` may write to, and nobody else."""
    server = RedisServer(tmp_path / "acl")
    server.start()
    with BlockingRedis(port=server.port) as admin:
        may: dict[str, Any] = {
            "keys": ["weir:*"],
            "commands": ["+xadd", "+get", "+set", "+info", "+ping", "+client|setinfo", "+select"],
        }
        admin.acl_setuser("writer", enabled=True, passwords=["+s3cret/word"], **may)
        may["commands"] += ["+xinfo", "+xpending"]
        admin.acl_setuser("proxy", enabled=True, passwords=["+s3cret/word"], **may)
        admin.acl_setuser(
            "reader", enabled=True, passwords=["+s3cret/word"], keys=["weir:*"], commands=["+get"]
        )
        admin.acl_setuser("admin", enabled=True, passwords=["+s3cret/word"], keys=["*"], commands=["+@all"])
        admin.acl_setuser("default", enabled=False)
    yield server
    server.stop()


@pytest.mark.parametrize(("user", "knows"), [("proxy", True), ("writer", False)])
async def test_a_user_that_may_do_what_is_needed(acl_redis: RedisServer, user: str, knows: bool) -> None:
    """One that may not look at the readers only does not know what is stored."""
    url = f"redis://{user}:s3cret%2Fword@127.0.0.1:{acl_redis.port}/0"
    writer = StreamWriter(url)
    before = time.monotonic()
    await writer.write([b"1", b"2"])
    with BlockingRedis(port=acl_redis.port, username="admin", password="s3cret/word") as admin:
        admin.xgroup_create(REQUESTS, GROUP, id="$")
    for _ in range(2):
        await writer.check()
    await writer.write([b"3"])
    assert (writer.stored_until > before) is knows
    await writer.close()


@pytest.mark.parametrize(
    "login", ["proxy:wr0ng", ":s3cret%2Fword", "nobody:s3cret%2Fword", "reader:s3cret%2Fword", ""]
)
async def test_a_user_that_is_refused_is_said_without_the_secret(acl_redis: RedisServer, login: str) -> None:
    writer = StreamWriter(f"redis://{login}@127.0.0.1:{acl_redis.port}/0".replace("//@", "//"))
    for _ in range(2):
        with pytest.raises(
            StreamUnavailableError, match="refuses the user or password in REDIS_URL"
        ) as caught:
            await writer.write([b"1"])
        assert "s3cret" not in str(caught.value)
        assert "wr0ng" not in str(caught.value)
        assert caught.value.left == [b"1"]
    await writer.close()


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[TlsRedis]:
    assert PROGRAM
    server = TlsRedis(tmp_path / "tls", PROGRAM, ["--requirepass", "secret"])
    server.start()
    yield server
    server.stop()


@needs_tls
async def test_tls_with_an_authority_of_ones_own(tls_redis: TlsRedis) -> None:
    place = f"rediss://:secret@127.0.0.1:{tls_redis.port}/0?ssl_ca_certs={tls_redis.authority}"
    writer = StreamWriter(check_redis_url(place))
    await writer.write([b"1", b"2"])
    await writer.close()
    async with client(place) as redis:
        assert await redis.xlen(REQUESTS) == 2


@needs_tls
@pytest.mark.parametrize("how", ["rediss://:secret@127.0.0.1:{}/0", "redis://:secret@127.0.0.1:{}/0"])
async def test_an_authority_that_is_unknown_and_a_client_without_tls_are_refused(
    tls_redis: TlsRedis, how: str
) -> None:
    writer = StreamWriter(how.format(tls_redis.port))
    with pytest.raises(StreamUnavailableError) as caught:
        await writer.write([b"1"])
    assert "secret" not in str(caught.value)
    await writer.close()


# -- Sentinels


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    found = Sentinels(tmp_path)
    found.start()
    yield found
    found.stop()


async def test_a_failover_is_followed_and_noticed(sentinels: Sentinels) -> None:
    """The master dies with records that its replica does not have: who sends again must be told."""
    writer = StreamWriter(check_redis_url(sentinels.url))
    await writer.write([b"replicated"])
    before = writer.server
    with BlockingRedis(port=sentinels.replica.port) as replica:

        async def arrived() -> bool:
            return stored(replica) == [b"replicated"]

        await eventually(arrived, "the replica has it")
        sentinels.replica.pause()
        with BlockingRedis(port=sentinels.master.port) as master:
            master.execute_command("CLIENT", "KILL", "TYPE", "replica")
        await writer.write([b"lost tail"])
        sentinels.master.kill9()
        sentinels.replica.resume()
        with pytest.raises(StreamUnavailableError):
            await writer.write([b"after"])
        await written(writer, [b"after"])
        assert writer.server != before, "what it had confirmed has to be sent again"
        again = writer.server
        await writer.write([b"lost tail"])
        assert writer.server == again
        assert stored(replica) == [b"replicated", b"after", b"lost tail"]
    async with client(sentinels.url) as redis:
        assert await redis.xlen(REQUESTS) == 3, "the reading side finds the new master, too"
        await publish(redis, BEAT)
        assert await read_all(redis) == [BEAT]
    await writer.close()


async def test_sentinels_that_are_not_there(sentinels: Sentinels) -> None:
    url = sentinels.url
    sentinels.stop()
    writer = StreamWriter(url)
    with pytest.raises(StreamUnavailableError, match="Sentinels name no master"):
        await writer.write([b"1"])
    await writer.close()


# -- Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
async def cluster_client(cluster: Cluster) -> AsyncIterator[Redis]:
    async with client(cluster.url) as redis:
        yield redis
        await redis.flushall()


def test_streams_lie_on_several_nodes() -> None:
    nodes = {key_slot(name.encode()) * 3 // 16384 for name in request_streams(8)}
    assert nodes == {0, 1, 2}
    assert request_streams(1) == (REQUESTS,)


@pytest.mark.parametrize("shards", [1, 8])
async def test_a_cluster_takes_records(cluster: Cluster, cluster_client: Redis, shards: int) -> None:
    writer = StreamWriter(check_redis_url(cluster.url), shards=shards)
    payloads = [b"%d" % number for number in range(400)]
    for at in range(0, 400, 10):
        await writer.write(payloads[at : at + 10])
    await writer.check()
    kept: list[bytes] = []
    for stream in request_streams(shards):
        entries = cast("list[Any]", await cluster_client.xrange(stream))
        assert entries
        kept += [fields[FIELD.encode()] for _, fields in entries]
    assert sorted(kept) == sorted(payloads)
    await writer.close()


async def test_heartbeats_and_accounts_pass_through_a_cluster(cluster_client: Redis) -> None:
    account = Account(proxy_id="p", boot_id="b", sent_at=1, accepted=3, in_flight=3)
    await publish(cluster_client, BEAT)
    await publish_accounts(cluster_client, [account])
    assert await read_all(cluster_client) == [BEAT]
    assert await read_accounts(cluster_client) == [account]


async def test_a_stream_that_moves_to_another_node_is_followed(
    cluster: Cluster, cluster_client: Redis
) -> None:
    writer = StreamWriter(cluster.url)
    await writer.write([b"1"])
    slot = key_slot(REQUESTS.encode())
    owner = cluster.nodes[slot * 3 // 16384]
    other = next(node for node in cluster.nodes if node is not owner)
    await cluster_client.flushall()
    cluster.move(slot, other)
    try:
        with pytest.raises(StreamUnavailableError, match=str(other.port)) as caught:
            await writer.write([b"2", b"3"])
        assert caught.value.left == [b"2", b"3"]
        await written(writer, caught.value.left)
        with BlockingRedis(port=other.port) as redis:
            assert stored(redis) == [b"2", b"3"]
    finally:
        await cluster_client.flushall()
        cluster.move(slot, owner)
    await writer.close()


async def test_a_node_that_is_gone_holds_up_its_own_streams_only(
    cluster: Cluster, cluster_client: Redis
) -> None:
    writer = StreamWriter(cluster.url, shards=8)
    await writer.check()
    gone = cluster.nodes[2]
    gone.pause()
    try:
        async with asyncio.timeout(30):
            with pytest.raises(StreamUnavailableError):
                await _one_after_another(writer, 8)
            await written(writer, [b"again"])
    finally:
        gone.resume()
        await writer.close()


async def _one_after_another(writer: StreamWriter, count: int) -> None:
    for number in range(count):
        await writer.write([b"%d" % number])


@pytest.mark.parametrize(
    "url",
    [
        "http://h", "redis+sentinel://h:1", "redis+sentinel://h:x/m", "redis+cluster://", "sentinel://h/m",
        "redis+sentinel://h/m/x", "redis://h:port/0",
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        check_redis_url(url)

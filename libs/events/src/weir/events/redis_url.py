"""Where Redis is: one server, the master that Sentinels name, or the nodes of a Cluster.

redis://[USER:PASSWORD@]HOST:PORT/0                     one server
redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/MASTER/0    the master of that name
redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT     a Cluster, found through any of these nodes
unix:///PATH                                            one server on this machine

`rediss` in the place of `redis` is TLS. What redis-py reads from an address may follow, above all
`?ssl_ca_certs=FILE` for a certificate authority of one's own. Sentinels are asked without a password, or with
`sentinel_password=…` (and `sentinel_username=…`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, MovedError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS: Final = {"sentinel": 26379, "cluster": 6379}
_SCHEMES: Final = frozenset(
    {"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}
)


def check_redis_url(url: str) -> str:
    """The address, unchanged.

    Raises:
        ValueError: it is not one that this module knows. The message does not repeat it.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(
            "write redis://HOST:PORT/0, rediss://… for TLS, unix:///path, "
            "redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT"
        )
    if "+" in parts.scheme:
        _hosts(parts)
        if parts.scheme.endswith("sentinel") and not _service(parts)[0]:
            raise ValueError("name the master: redis+sentinel://HOST:PORT/MASTER")
    else:
        parse_url(url)
    return url


def connect(url: str, *, connect_timeout: float, timeout: float) -> Redis:
    """A client that sends nothing twice behind its caller's back; a Cluster's has the same methods.

    `timeout`: seconds for one answer.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": timeout,
        "protocol": 2,
    }
    once = Retry(NoBackoff(), 0)
    if parts.scheme.endswith("+sentinel"):
        return _sentinel_client(parts, {**options, "retry": once})
    if parts.scheme.endswith("+cluster"):
        # A Cluster's client repeats a command only where the node said that it is not the one.
        return cast("Redis", _cluster(parts, options))
    return Redis.from_url(url, retry=once, **options)


async def ask(redis: Redis, key: str, *command: bytes | str | int) -> Any:
    """The answer to a command as Redis gave it.

    With the command's name as bytes redis-py does not parse the answer: making a dictionary of each entry of
    a stream would cost as much as decoding its record does. A Cluster's client takes no such names, therefore
    the node that has the key is asked; where that is another one by now, the next time finds it.
    """
    client: Any = redis
    if not isinstance(client, RedisCluster):
        return await client.execute_command(*command)
    await client.initialize()
    node = client.get_node_from_key(key)
    if node is None:
        raise ConnectionError("no node of the cluster has the stream")
    try:
        return await node.execute_command(*command)
    except (RedisConnectionError, RedisTimeoutError, MovedError, AskError, ClusterDownError):
        await client.aclose()
        raise


class Connections(Protocol):
    """Makes connections to whichever server a key belongs to now."""

    async def to(self, key: str) -> AbstractConnection:
        """A new connection, not connected yet."""
        ...

    async def close(self) -> None:
        """Forget what was found out about the servers."""
        ...


def connections(url: str, **options: Any) -> Connections:
    """`options` are redis-py's, for each connection."""
    parts = urlsplit(url)
    if parts.scheme.endswith("+cluster"):
        return _ClusterConnections(_cluster(parts, options), options)
    if parts.scheme.endswith("+sentinel"):
        return _PoolConnections(_sentinel_client(parts, options).connection_pool)
    return _PoolConnections(ConnectionPool.from_url(url, **options))


class _PoolConnections:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def to(self, key: str) -> AbstractConnection:  # noqa: ARG002 - one server has all keys
        return self._pool.make_connection()

    async def close(self) -> None:
        await self._pool.disconnect()


class _ClusterConnections:
    def __init__(self, cluster: RedisCluster, options: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._options = options

    async def to(self, key: str) -> AbstractConnection:
        await self._cluster.initialize()
        node = self._cluster.get_node_from_key(key)
        if node is None:
            raise ConnectionError("no node of the cluster has the stream")
        return node.connection_class(**{**node.connection_kwargs, **self._options})

    async def close(self) -> None:
        await self._cluster.aclose()


def _sentinel_client(parts: SplitResult, options: Mapping[str, Any]) -> Redis:
    service, db = _service(parts)
    query = dict(parse_qsl(parts.query))
    own = {
        name: value
        for name in ("username", "password")
        if (value := query.pop(f"sentinel_{name}", None)) is not None
    }
    kwargs = _kwargs(parts, query)
    timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
    tls = {name: value for name, value in kwargs.items() if name.startswith("ssl")}
    sentinel = Sentinel(_hosts(parts), sentinel_kwargs={**timeouts, **tls, **own})
    return sentinel.master_for(service, connection_pool_class=_SentinelPool, db=db, **{**kwargs, **options})


class _SentinelPool(SentinelConnectionPool):
    """Closes the connections to the Sentinels when it is closed itself."""

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's
        await super().disconnect(inuse_connections)
        if inuse_connections:
            await cast("Sentinel", self.sentinel_manager).aclose()


def _cluster(parts: SplitResult, options: Mapping[str, Any]) -> RedisCluster:
    kwargs = _kwargs(parts, dict(parse_qsl(parts.query)))
    timeouts = {name: value for name, value in options.items() if name != "parser_class"}
    nodes = [ClusterNode(host, port) for host, port in _hosts(parts)]
    return RedisCluster(startup_nodes=nodes, **{**kwargs, **timeouts})


def _kwargs(parts: SplitResult, query: Mapping[str, str]) -> dict[str, Any]:
    """What redis-py reads from an address, without where it leads."""
    scheme = parts.scheme.partition("+")[0]
    kwargs: dict[str, Any] = dict(parse_url(f"{scheme}://host/?{urlencode(query)}"))
    for name in ("host", "db", "connection_class"):
        kwargs.pop(name, None)
    userinfo = parts.netloc.rpartition("@")[0]
    user, colon, password = userinfo.partition(":")
    if user:
        kwargs["username"] = unquote(user)
    if colon:
        kwargs["password"] = unquote(password)
    if scheme == "rediss":
        kwargs["ssl"] = True
    return kwargs


def _hosts(parts: SplitResult) -> list[tuple[str, int]]:
    """Raises ValueError when there is none, or a port is no number."""
    default = _PORTS[parts.scheme.partition("+")[2]]
    found: list[tuple[str, int]] = []
    for place in parts.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{place}")
        if not one.hostname:
            raise ValueError("write HOST:PORT,HOST:PORT")
        found.append((one.hostname, one.port or default))
    return found


def _service(parts: SplitResult) -> tuple[str, int]:
    """The master's name and the database's number."""
    service, _, db = parts.path.strip("/").partition("/")
    return service, int(db or 0)

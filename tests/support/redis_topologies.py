"""Redis as others run it: with TLS, with Sentinels that fail over, and as a Cluster. Real processes."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from redis import Redis
from tests.support.processes import until
from tests.support.redis_server import RedisServer, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS: Final = 16384
_BUS_OFFSET: Final = 10_000


def program_with_tls() -> Path | None:
    """A Redis that speaks TLS: the one on the PATH, or Debian's `redis-tools`, which have the same file."""
    for name in ("redis-server", "redis-check-rdb"):
        found = shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
        if found and b"libssl" in Path(found).read_bytes():
            return Path(found)
    return None


class TlsRedis(RedisServer):
    """One that speaks TLS alone, with a certificate that an authority of its own has signed."""

    def __init__(self, directory: Path, program: Path, options: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True)
        self.authority = directory / "ca.pem"
        key, certificate = _certificates(directory, self.authority)
        super().__init__(
            directory,
            [
                *("--port", "0", "--tls-auth-clients", "no", "--tls-ca-cert-file", str(self.authority)),
                *("--tls-key-file", str(key), "--tls-cert-file", str(certificate)),
                *options,
            ],
        )
        self._options = ["--tls-port", str(self.port), *self._options]
        # What the program is called decides what it does.
        called = directory / "redis-server"
        called.symlink_to(program)
        self._program = [str(called)]

    def _answers(self) -> bool:
        assert self._popen is not None
        assert self._popen.poll() is None, (self.directory / "redis.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Sentinels:
    """A master, its replica, and a Sentinel that makes the replica the master when the master is gone."""

    NAME: Final = "weir"

    def __init__(self, directory: Path) -> None:
        self.master = RedisServer(directory / "master")
        self.replica = RedisServer(
            directory / "replica",
            ["--replicaof", "127.0.0.1", str(self.master.port), "--repl-diskless-sync-delay", "0"],
        )
        self._sentinel = _Sentinel(directory / "sentinel", self.NAME, self.master.port)

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self._sentinel.port}/{self.NAME}/0"

    def start(self) -> None:
        self.master.start()
        self.replica.start()
        with Redis(port=self.replica.port) as replica:
            until(lambda: _info(replica)["master_link_status"] == "up", "the replica follows", 30)
        self._sentinel.start()
        with Redis(port=self._sentinel.port) as sentinel:
            until(lambda: _command(sentinel, "SENTINEL", "REPLICAS", self.NAME), "it knows the replica", 30)

    def stop(self) -> None:
        for server in (self._sentinel, self.replica, self.master):
            server.kill9()


class _Sentinel(RedisServer):
    def __init__(self, directory: Path, name: str, master_port: int) -> None:
        directory.mkdir(parents=True)
        super().__init__(directory)
        config = directory / "sentinel.conf"
        config.write_text(
            f"sentinel monitor {name} 127.0.0.1 {master_port} 1\n"
            f"sentinel down-after-milliseconds {name} 500\n"
            f"sentinel failover-timeout {name} 2000\n"
        )
        self._program = [*self._program, str(config), "--sentinel"]
        self._persistence = []


class Cluster:
    """Three masters that share the slots."""

    def __init__(self, directory: Path) -> None:
        self.nodes = [_node(directory / str(number)) for number in range(3)]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        share = SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            slots = range(number * share, min(SLOTS, (number + 1) * share))
            self.tell(node, "CLUSTER", "ADDSLOTS", *slots)
            self.tell(node, "CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes:
            until(lambda node=node: b"cluster_state:ok" in self.tell(node, "CLUSTER", "INFO"), "it is up", 30)
            until(lambda node=node: len(self.tell(node, "CLUSTER", "SLOTS")) == 3, "it knows all slots", 30)

    def tell(self, node: RedisServer, *command: Any) -> Any:
        with Redis(port=node.port) as redis:
            return _command(redis, *command)

    def move(self, slot: int, to: RedisServer) -> None:
        """Give a slot that holds nothing to another node."""
        name = self.tell(to, "CLUSTER", "MYID").decode()
        self.tell(to, "CLUSTER", "BUMPEPOCH")  # so that what it says of its slots is believed
        for node in (to, *[node for node in self.nodes if node is not to]):
            self.tell(node, "CLUSTER", "SETSLOT", slot, "NODE", name)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill9()


def _node(directory: Path) -> RedisServer:
    options = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
    node = RedisServer(directory, [*options, "--cluster-node-timeout", "2000"])
    while node.port + _BUS_OFFSET >= 1 << 16:
        node.port = free_port()
    return node


def _info(redis: Redis) -> dict[str, Any]:
    found: dict[str, Any] = _command(redis, "INFO", "replication")
    return found


def _command(redis: Redis, *command: Any) -> Any:
    return cast("Any", redis.execute_command(*command))


def _certificates(directory: Path, authority: Path) -> tuple[Path, Path]:
    """An authority, and a key and certificate for 127.0.0.1 that it has signed."""
    key, request, certificate = (directory / f"server.{kind}" for kind in ("key", "csr", "pem"))
    names = directory / "names"
    names.write_text("subjectAltName=IP:127.0.0.1")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    signed = ("-CA", authority, "-CAkey", directory / "ca.key", "-CAcreateserial", "-extfile", names)
    for command in (
        ("req", "-x509", *made, "-keyout", directory / "ca.key", "-out", authority, "-subj", "/CN=test CA"),
        ("req", *made, "-keyout", key, "-out", request, "-subj", "/CN=redis"),
        ("x509", "-req", "-in", request, "-out", certificate, *signed),
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=30)
    return key, certificate

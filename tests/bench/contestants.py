"""The proxies that the benchmark compares, each started pinned to one core, and what they use of it."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests.support.processes import Process, children, start, until
from tests.support.redis_server import RedisServer, free_port

from weir.events.stream import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable

KEY: Final = "sk-bench-0123456789abcdef"
_HERE: Final = Path(__file__).parent


class Contestant(Protocol):
    """A proxy in front of the model server at `upstream_port`."""

    name: str
    port: int

    def __init__(self, core: int, upstream_port: int) -> None: ...

    @property
    def pid(self) -> int: ...

    def settle(self, requests: int) -> None:
        """Wait until the work that these requests left behind is done."""
        ...

    def stop(self) -> None: ...


class _Program:
    """A proxy that is one command with a configuration file."""

    name = ""

    def __init__(self, core: int, upstream_port: int) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory()
        self._popen = subprocess.Popen(
            ["taskset", "-c", str(core), *self.command(Path(self._folder.name), upstream_port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: _listens(self.port), f"{self.name} listens", 20)

    def command(self, folder: Path, upstream_port: int) -> list[str]:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        return self._popen.pid

    def settle(self, requests: int) -> None:
        """Nothing is left behind."""

    def stop(self) -> None:
        self._popen.terminate()
        self._popen.wait(10)
        self._folder.cleanup()


class Nginx(_Program):
    """The yardstick: one worker, kept upstream connections, no buffering and no log."""

    name = "nginx"

    def command(self, folder: Path, upstream_port: int) -> list[str]:
        config = folder / "nginx.conf"
        config.write_text(f"""
            daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null crit;
            worker_rlimit_nofile 65536;
            events {{ worker_connections 30000; }}
            http {{
                access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;
                proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
                scgi_temp_path {folder}/s; client_body_buffer_size 256k; tcp_nodelay on;
                upstream model {{
                    server 127.0.0.1:{upstream_port}; keepalive 512; keepalive_requests 100000000;
                }}
                server {{
                    listen 127.0.0.1:{self.port} backlog=4096;
                    location / {{
                        proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
                        proxy_buffering off; proxy_read_timeout 1h;
                    }}
                }}
            }}""")
        return ["nginx", "-p", str(folder), "-e", "/dev/null", "-c", str(config)]


class Envoy(_Program):
    """Envoy from the PyPI wheel `pyvoy`, in an environment of the benchmark's own."""

    name = "envoy"
    binary: str = ""

    def command(self, folder: Path, upstream_port: int) -> list[str]:
        config = folder / "envoy.yaml"
        config.write_text(_ENVOY % (self.port, upstream_port))
        return [
            self.binary,
            "-c",
            str(config),
            "--concurrency",
            "1",
            "--log-level",
            "off",
            "--use-dynamic-base-id",
        ]


class Aiohttp(_Program):
    """The baseline in Python, without any of a gateway's features."""

    name = "aiohttp"

    def command(self, folder: Path, upstream_port: int) -> list[str]:
        return [sys.executable, str(_HERE / "aiohttp_proxy.py"), str(self.port), str(upstream_port)]


class Weir:
    """The product with everything switched on: keys, recording, the journal, a real Redis."""

    name = "weir"

    def __init__(self, core: int, upstream_port: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._redis = RedisServer(folder / "redis", ["--appendonly", "no"])
        self._redis.start()
        config = folder / "weir.yaml"
        sha256 = hashlib.sha256(KEY.encode()).hexdigest()
        config.write_text(
            f"upstreams:\n  - {{name: model, url: 'http://127.0.0.1:{upstream_port}/v1'}}\n"
            f"clients:\n  - {{name: bench, sha256: {sha256}}}\n"
        )
        (folder / "data").mkdir()
        self._process: Process = start(
            ["taskset", "-c", str(core), sys.executable, "-m", "weir.proxy"],
            {
                "WEIR_PROXY_LISTEN": "127.0.0.1:0",
                "WEIR_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
                "WEIR_PROXY_WORKERS": "1",
                "WEIR_PROXY_MAX_IN_FLIGHT": "20000",
                "REDIS_URL": self._redis.url,
                "WEIR_DATA_DIR": str(folder / "data"),
                "WEIR_CONFIG": str(config),
            },
        )
        self.port = int(self._process.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def worker(self) -> int:
        return next(pid for pid in children(self.pid) if "weir.proxy.worker" in _command(pid))

    def settle(self, requests: int) -> None:
        """Every request has its record in Redis."""
        until(lambda: self.records() >= requests, f"{requests} records are in Redis", 60)

    def records(self) -> int:
        with socket.create_connection(("127.0.0.1", self._redis.port)) as redis:
            redis.sendall(b"XLEN %b\r\n" % REQUESTS.encode())
            return int(redis.recv(64)[1:])

    def stop(self) -> None:
        with suppress(AssertionError):
            self._process.stop()
        self._redis.stop()
        self._folder.cleanup()


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    return [pid, *(below for child in children(pid) for below in tree(child))]


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree, from the scheduler's nanoseconds."""
    total = 0
    for process in tree(pid):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def megabytes(pid: int, *, alone: bool = False) -> float:
    """Private and shared memory in use (PSS) of the tree."""
    total = 0
    for process in [pid] if alone else tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += int(text.partition("\nPss:")[2].split()[0])
    return total / 1024


def installed(names: list[str], envoy: Callable[[], str | None]) -> list[type[Contestant]]:
    """Those of the contestants that this machine has."""
    found: list[type[Contestant]] = []
    if "nginx" in names and shutil.which("nginx"):
        found.append(Nginx)
    if "envoy" in names and (binary := envoy()) is not None:
        Envoy.binary = binary
        found.append(Envoy)
    if "aiohttp" in names:
        found.append(Aiohttp)
    if "weir" in names:
        found.append(Weir)
    return found


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


_ENVOY: Final = r"""
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3\
                    .HttpConnectionManager"
          stat_prefix: bench
          stream_idle_timeout: 3600s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: "/"}, route: {cluster: model, timeout: 0s}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: model
    type: STATIC
    circuit_breakers:
      thresholds: [{max_connections: 30000, max_requests: 30000, max_pending_requests: 30000}]
    load_assignment:
      cluster_name: model
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
"""

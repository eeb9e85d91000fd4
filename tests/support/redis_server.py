"""A real Redis of one's own: private port, append-only file, in a directory that outlives a restart."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Sequence


_START_SECONDS: Final = 60.0
"""It reads its append-only file first, and the disk may have other things to do."""


class RedisServer:
    """Start, kill and start again on the same port. Its data stay in `directory`."""

    def __init__(self, directory: Path, options: Sequence[str] = ()) -> None:
        self.directory = directory
        self.port = free_port()
        self._options = options
        self._program = [_binary()]
        self._persistence = ["--appendonly", "yes", "--save", ""]
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return None if self._popen is None else self._popen.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert self._popen is None, "it runs already"
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "redis.log").open("ab") as log:
            self._popen = subprocess.Popen(
                [
                    *self._program,
                    *(
                        "--port",
                        str(self.port),
                        "--bind",
                        "127.0.0.1",
                        "--dir",
                        str(self.directory),
                    ),
                    *self._persistence,
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._answers, f"Redis on port {self.port} answers", _START_SECONDS)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Hold it still (SIGSTOP): connections stay open and nothing is answered."""
        assert self._popen is not None
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._popen is not None
        self._popen.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._popen is not None:
            self._popen.send_signal(signal.SIGCONT)
            self._popen.send_signal(number)
            self._popen.wait(10)
            self._popen = None

    def _answers(self) -> bool:
        assert self._popen is not None
        assert self._popen.poll() is None, (self.directory / "redis.log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _binary() -> str:
    beside_python = Path(sys.executable).parent / "redis-server"
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{beside_python.parent}"
    found = shutil.which("redis-server", path=path)
    assert found, "there is no redis-server: neither on the PATH nor in the environment"
    return found

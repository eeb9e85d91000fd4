"""Victims: services that start in a fraction of a second, because each is forked from a process that has
imported everything already. They run the services' own `main`, in a process of their own that can be killed.

As a program (`python -m tests.fault.nursery`) it is that process: it reads one order a line and says one line
for each birth, readiness and end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import selectors
import signal
import sqlite3
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import weir.metrics_api.__main__ as metrics_api
import weir.proxy.__main__ as proxy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tests.support.gate import When

MAINS = {"weir.metrics_api": metrics_api.main, "weir.proxy": proxy.main}


@dataclass(frozen=True, slots=True)
class SqlStop:
    """Let the victim kill itself at the Nth statement that it gives to SQLite."""

    at: int
    when: When


@dataclass(slots=True, eq=False)
class Victim:
    """One life."""

    pid: int
    announced: dict[str, str] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is ready, or has ended before."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    @property
    def url(self) -> str:
        assert self.announced is not None, "it was never ready"
        return self.announced["url"]


class Nursery:
    """The harness's side. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process
        self._listening: asyncio.Task[None]
        self._born: asyncio.Queue[Victim] = asyncio.Queue()
        self._victims: dict[int, Victim] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.fault.nursery",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._listening

    async def bear(self, module: str, env: Mapping[str, str], stop: SqlStop | None = None) -> Victim:
        """Start a service with this environment. What it writes goes to `victims.log` in the directory."""
        assert self._process.stdin is not None
        order: dict[str, Any] = {"module": module, "env": dict(env), "directory": str(self._directory)}
        if stop is not None:
            order["sql"] = {"at": stop.at, "when": stop.when}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return await self._born.get()

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if said["event"] == "born":
                victim = self._victims[said["pid"]] = Victim(said["pid"])
                self._born.put_nowait(victim)
                continue
            victim = self._victims[said["pid"]]
            if said["event"] == "ready":
                victim.announced = said["announced"]
            else:
                del self._victims[said["pid"]]
                victim.ended.set()
            victim.ready.set()


# -- the process that the victims are forked from


class _Mother:
    """One thread, so that a fork copies no lock that somebody holds."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._announcements: dict[int, tuple[int, bytearray]] = {}
        self._lives: dict[int, int] = {}

    def run(self) -> None:
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        orders = bytearray()
        while True:
            for key, _ in self._selector.select():
                if key.fd == sys.stdin.fileno():
                    data = os.read(key.fd, 1 << 16)
                    if not data:
                        self._end()
                        return
                    orders += data
                elif key.fd in self._lives:
                    self._ended(key.fd)
                elif key.fd in self._announcements:
                    self._announced(key.fd)
            while b"\n" in orders:
                line, _, rest = bytes(orders).partition(b"\n")
                orders[:] = rest
                self._bear(json.loads(line))

    def _bear(self, order: dict[str, Any]) -> None:
        ready, announce = os.pipe()
        life, alive = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ready)
            os.close(life)
            _live(order, announce)  # `alive` stays open until its end
        os.close(announce)
        os.close(alive)
        self._announcements[ready] = (pid, bytearray())
        self._lives[life] = pid
        for fd in (ready, life):
            self._selector.register(fd, selectors.EVENT_READ)
        _say({"event": "born", "pid": pid})

    def _announced(self, fd: int) -> None:
        pid, said = self._announcements[fd]
        data = os.read(fd, 4096)
        said += data
        if data and not said.endswith(b"\n"):
            return
        if said.endswith(b"\n"):
            _say({"event": "ready", "pid": pid, "announced": json.loads(said)})
        del self._announcements[fd]
        self._forget(fd)

    def _ended(self, fd: int) -> None:
        pid = self._lives.pop(fd)
        self._forget(fd)
        os.waitpid(pid, 0)
        for ready in [ready for ready, (whose, _) in self._announcements.items() if whose == pid]:
            self._announced(ready)
        _say({"event": "ended", "pid": pid})

    def _forget(self, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)

    def _end(self) -> None:
        for pid in self._lives.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _live(order: dict[str, Any], announce: int) -> None:
    """The child: become the service."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.environ["WEIR_READY_FD"] = str(announce)
    directory = Path(order["directory"])
    os.chdir(directory)
    log = os.open(directory / "victims.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if (stop := order.get("sql")) is not None:
        _stop_at_statement(stop["at"], stop["when"])
    code = 1
    try:
        code = MAINS[order["module"]]([])
    finally:
        os._exit(code)


def _stop_at_statement(at: int, when: When) -> None:
    """From now on every connection to SQLite counts its statements; at the Nth of all, this process dies."""
    connect = sqlite3.connect
    counted = 0

    class Stopping(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            return self._counted(super().execute, *arguments)

        def executemany(self, *arguments: Any) -> sqlite3.Cursor:
            return self._counted(super().executemany, *arguments)

        def _counted(self, work: Any, *arguments: Any) -> sqlite3.Cursor:
            nonlocal counted
            counted += 1
            mine = counted
            if mine == at and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            cursor = work(*arguments)
            if mine == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return cursor

    def stopping(*arguments: Any, **more: Any) -> sqlite3.Connection:
        return connect(*arguments, **{**more, "factory": Stopping})

    sqlite3.connect = stopping


def _say(what: dict[str, Any]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    gc.freeze()
    _Mother().run()

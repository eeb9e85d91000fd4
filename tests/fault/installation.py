"""All of Weir as real processes, each of which can be killed and started again alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from redis import Redis
from redis.exceptions import RedisError
from tests.fault.upstreams import Upstreams
from tests.support.processes import NotReadyError, Process, children, command_line, start, until
from tests.support.programs import lives
from tests.support.raw_http import IncompleteAnswerError, fetch
from tests.support.redis_server import RedisServer, free_port

from weir.events.stream import GROUP, REQUESTS, witness_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from tests.support.postgres_server import PostgresServer

Kind = Literal["sqlite", "postgres"]

WORKERS: Final = 2
START_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 5
KEEP_SECONDS: Final = 2
"""How long the journal keeps what Redis has confirmed, though it is stored: shorter than any fault lasts."""
EXCUSE_SECONDS: Final = DRAIN_SECONDS + 3.0
"""So long after a death clients may still have connections to what it has left."""
STOP_SECONDS: Final = 60.0
LEFT_FOR_THE_NEXT_START: Final = "records stay in the journal"
"""What a proxy says that is stopped before all its records are shipped."""


class Service:
    """A process with a fixed port, started until it stays."""

    def __init__(self, module: str, directory: Path, settings: Mapping[str, str]) -> None:
        self._arguments = ["python", "-m", module]
        self._directory = directory
        self._settings = settings
        self.process: Process
        self.said: list[str] = []
        """What earlier lives wrote."""

    def start(self, deadline: float = START_SECONDS) -> None:
        """Start it, again if it ends before it is ready: its port or its database may not be free yet."""
        end = time.monotonic() + deadline
        while True:
            try:
                self.process = start(self._arguments, self._settings, cwd=self._directory, deadline=deadline)
            except NotReadyError as error:
                self.said.append(str(error))
                if time.monotonic() > end:
                    raise
            else:
                return

    def start_and_kill(self, after: float) -> None:
        """Kill it so many seconds after it was started, ready or not."""
        process = start(self._arguments, self._settings, cwd=self._directory, announces=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        self._end(process)

    def kill(self) -> None:
        self._end(self.process)

    def _end(self, process: Process) -> None:
        process.kill9()
        self.said.append(process.stderr)

    @property
    def log(self) -> str:
        return "\n".join([*self.said, self.process.stderr])


class Installation:
    """Redis, a proxy, one metrics API on SQLite or two on PostgreSQL, and the upstreams they talk to."""

    def __init__(self, directory: Path, kind: Kind, postgres: PostgresServer | None = None) -> None:
        self.kind: Kind = kind
        self.directory = directory
        self.redis = RedisServer(directory / "redis")
        self.postgres = postgres
        self.database = postgres.database() if postgres else str(directory / "data" / "weir.db")
        self._proxy_deaths: list[float] = []
        self._proxy_down = False
        self._ever: set[int] = set()
        (directory / "data").mkdir(parents=True)
        self._upstreams = Upstreams(directory)
        shared = {
            "REDIS_URL": self.redis.url,
            "WEIR_DATA_DIR": str(directory / "data"),
            "WEIR_LOG_FORMAT": "json",
        }
        self.proxy = Service(
            "weir.proxy",
            directory,
            {
                **shared,
                "WEIR_PROXY_LISTEN": f"127.0.0.1:{free_port()}",
                "WEIR_PROXY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
                "WEIR_PROXY_WORKERS": str(WORKERS),
                "WEIR_PROXY_ID": "faults",
                "WEIR_PROXY_DRAIN": f"{DRAIN_SECONDS}s",
                "WEIR_CONFIG": str(self._upstreams.config),
                "WEIR_JOURNAL_KEEP": f"{KEEP_SECONDS}s",
            },
        )
        self.apis = [
            Service(
                "weir.metrics_api",
                directory,
                {
                    **shared,
                    "WEIR_DATABASE_URL": self.database,
                    "WEIR_API_LISTEN": f"127.0.0.1:{free_port()}",
                },
            )
            for _ in range(2 if postgres else 1)
        ]

    def start(self) -> None:
        self.redis.start()
        self.proxy.start()
        for api in self.apis:
            api.start()

    async def stop(self) -> None:
        """As an operator does. Each must end by itself.

        The proxy goes first: its last word is whether all that it has was confirmed by the Redis of now.
        Until it says so there may be records that nobody could have stored yet.
        """
        end = time.monotonic() + QUIET_SECONDS
        codes = [await asyncio.to_thread(self.proxy.process.stop, STOP_SECONDS)]
        while LEFT_FOR_THE_NEXT_START in self.proxy.process.stderr:
            assert time.monotonic() < end, f"the proxy cannot ship what it has within {QUIET_SECONDS:g} s"
            self.proxy.said.append(self.proxy.process.stderr)
            await asyncio.to_thread(self.proxy.start)
            await self.quiet()
            codes.append(await asyncio.to_thread(self.proxy.process.stop, STOP_SECONDS))
        await self._calm(lambda: asyncio.to_thread(self._unsettled))
        codes += [await asyncio.to_thread(api.process.stop, STOP_SECONDS) for api in self.apis]
        await asyncio.to_thread(self.redis.stop)
        self._upstreams.stop()
        assert codes == [0] * len(codes), f"exit codes {codes}"

    def end(self) -> None:
        """Kill whatever still runs."""
        for service in (self.proxy, *self.apis):
            if hasattr(service, "process") and service.process.running():
                service.process.send(signal.SIGCONT)
                service.kill()
        self.redis.kill9()
        self._upstreams.stop()

    # -- the proxy's deaths, which alone may be seen by clients

    def proxy_died(self) -> None:
        self._proxy_deaths.append(asyncio.get_running_loop().time())

    async def proxy_replaced(self, kill: bool = True) -> None:
        """Kill the parent, or cut it with two SIGTERMs, and start another."""
        self.remember_workers()
        self._proxy_down = True
        self.proxy_died()
        if kill:
            self.proxy.kill()
        else:
            self.proxy.process.send(signal.SIGTERM)
            self.proxy.process.send(signal.SIGTERM)
            await asyncio.to_thread(self.proxy.process.wait, 30)
            self.proxy.kill()
        await asyncio.to_thread(self.proxy.start)
        self.proxy_died()
        self._proxy_down = False

    def excuse(self, since: float) -> bool:
        """Whether a connection that was begun at this moment may have broken: a proxy has died."""
        return self._proxy_down or any(death > since - EXCUSE_SECONDS for death in self._proxy_deaths[-20:])

    def workers(self) -> list[int]:
        """The process ids of the proxy's workers; those of dead parents are not among them."""
        return [pid for pid in children(self.proxy.process.pid) if "weir.proxy.worker" in command_line(pid)]

    def remember_workers(self) -> None:
        self._ever.update(self.workers())

    # -- quiet

    async def quiet(self) -> None:
        """Wait until everything that was accepted can be a row: journal shipped, stream read.

        A Redis that has just come back may have lost what it confirmed, and the proxy may not know that yet;
        it does when it is stopped.
        """
        await self._calm(self._unrest)

    async def _calm(self, unrest: Callable[[], Awaitable[str | None]]) -> None:
        """Wait until there is none, three times in a row."""
        end = time.monotonic() + QUIET_SECONDS
        calm = 0
        while calm < 3:
            await asyncio.sleep(0.1)  # what is asked is not told to anybody
            try:
                state = await unrest()
            except (OSError, RedisError, IncompleteAnswerError) as error:
                state = repr(error)
            calm = 0 if state else calm + 1
            assert time.monotonic() < end, f"not quiet within {QUIET_SECONDS:g} s: {state}"

    async def _unrest(self) -> str | None:
        orphans = [pid for pid in self._ever - set(self.workers()) if lives(pid)]
        if orphans:
            return f"workers of dead parents still run: {orphans}"
        if not await asyncio.to_thread(self._has_witness):
            return "the proxy has not noticed yet that Redis was emptied"
        if waiting := await self._waiting_bytes():
            return f"{waiting:g} bytes wait in the journal"
        return await asyncio.to_thread(self._unsettled)

    async def _waiting_bytes(self) -> float:
        answer = await fetch(self.proxy.process.announced["admin_url"], "GET", "/metrics")
        found = re.search(rb"^weir_proxy_journal_waiting_bytes (\S+)", answer.body, re.MULTILINE)
        assert found, "the proxy says how much waits in its journal"
        return float(found[1])

    def _has_witness(self) -> bool:
        """The word by which the proxy knows that Redis has what it had; where it is gone, a new one comes."""
        with Redis.from_url(self.redis.url, socket_timeout=5) as redis:
            return bool(redis.exists(witness_key(REQUESTS)))

    def _unsettled(self) -> str | None:
        with Redis.from_url(self.redis.url, socket_timeout=5) as redis:
            groups: Any = redis.xinfo_groups(REQUESTS)
            newest: Any = redis.xrevrange(REQUESTS, count=1)
        for group in groups:
            if group["name"] == GROUP.encode():
                read = not newest or group["last-delivered-id"] == newest[0][0]
                return None if read and group["pending"] == 0 else f"the stream is not read: {group}"
        return "there is no consumer group"

    async def pipeline(self) -> dict[str, Any] | None:
        """What the metrics API says of the whole way; None while it cannot say."""
        try:
            answer = await fetch(self.apis[0].process.url, "GET", "/api/pipeline")
        except (OSError, IncompleteAnswerError):
            return None
        return answer.json() if answer.status == 200 else None


def kill(pid: int) -> bool:
    """SIGKILL; False if it was gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


async def running_workers(installation: Installation) -> list[int]:
    return await asyncio.to_thread(until, installation.workers, "a worker runs", START_SECONDS)

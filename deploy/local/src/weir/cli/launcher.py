"""`weir run`: all of Weir on one machine.

Start: Redis (unless one was given), the proxy and the metrics API side by side, then the dashboard.
The phases of a stop, in order:
1. the proxy: takes no more, finishes requests in flight, hands its records over;
2. the metrics API, then the dashboard;
3. Redis, last, so that every record has reached its disk.
A second signal ends all of them at once. When the launcher itself is killed, the guard does the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from weir.cli import private_redis
from weir.cli.data_dir import locked
from weir.cli.guard import Guard
from weir.cli.program import NotReadyError
from weir.cli.services import Services
from weir.cli.supervisor import Supervised
from weir.cli.upstream import Upstream, choose
from weir.cli.welcome import welcome
from weir.servicekit.run import READY_FD, StartError, announce

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.cli.settings import LauncherSettings

_REDIS_ATTEMPTS: Final = 3
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is once it runs."""

    proxy: str
    proxy_admin: str
    metrics_api: str
    dashboard: str
    redis: str


async def launch(settings: LauncherSettings, environ: Mapping[str, str]) -> int:
    """Start everything, keep it running until told to stop; the exit code.

    Raises:
        StartError: something cannot start.
    """
    with locked(settings.data_dir) as lock:
        guard = Guard(lock)
        try:
            return await _Launcher(settings, environ, guard).run()
        finally:
            guard.dismiss()


class _Launcher:
    def __init__(self, settings: LauncherSettings, environ: Mapping[str, str], guard: Guard) -> None:
        self._settings = settings
        self._announce_to = environ
        self._environ = {name: value for name, value in environ.items() if name != READY_FD}
        self._environ["WEIR_DATA_DIR"] = str(settings.data_dir.resolve())
        self._guard = guard
        self._in_order_of_stop: list[Supervised] = []
        self._is_stopping = False

    async def run(self) -> int:
        self._stop_on_signals()
        started = time.monotonic()
        try:
            upstream = await choose(self._settings)
            addresses = await self._start(upstream)
            announce(
                addresses.dashboard,
                self._announce_to,
                proxy_url=addresses.proxy,
                admin_url=addresses.proxy_admin,
                api_url=addresses.metrics_api,
                redis_url=addresses.redis,
            )
            _print(welcome(addresses, upstream, self._settings.data_dir, time.monotonic() - started))
            async with asyncio.TaskGroup() as group:
                for supervised in self._in_order_of_stop:
                    group.create_task(supervised.keep_running())
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
        except NotReadyError as error:
            return _explain(error)
        finally:
            await self._stop()
        return 0

    async def _start(self, upstream: Upstream) -> Addresses:
        redis_url = await self._redis()
        environ = {name: value for name, value in self._environ.items() if name != "REDIS_URL_FILE"}
        services = Services(self._settings, {**environ, "REDIS_URL": redis_url})
        proxy = self._supervise(
            Supervised(services.proxy(upstream.environ), self._watch, services.proxy_place)
        )
        api = self._supervise(Supervised(services.metrics_api(), self._watch, services.metrics_api_place))
        proxy_urls, api_urls = await _both(proxy, api)
        dashboard = self._supervise(
            Supervised(services.dashboard(api_urls["url"]), self._watch, services.dashboard_place)
        )
        dashboard_urls = await dashboard.start()
        return Addresses(
            proxy=proxy_urls["url"],
            proxy_admin=proxy_urls["admin_url"],
            metrics_api=api_urls["url"],
            dashboard=dashboard_urls["url"],
            redis=redis_url,
        )

    async def _redis(self) -> str:
        """The URL of the given Redis, or of the private one that is started."""
        if self._settings.redis_url:
            return self._settings.redis_url
        directory = self._settings.data_dir / "redis"
        for _ in range(_REDIS_ATTEMPTS):  # somebody may take the free port first
            port = private_redis.free_port()
            redis = Supervised(private_redis.program(directory, port, self._environ), self._watch)
            with suppress(NotReadyError):
                await redis.start()
                self._supervise(redis)
                return f"redis://127.0.0.1:{port}/0"
        raise StartError(f"the private Redis does not start; {directory / private_redis.LOG_NAME} says why")

    def _supervise(self, supervised: Supervised) -> Supervised:
        """Redis is started first and stopped last; the others stop in the order of their start."""
        is_first = not self._in_order_of_stop
        if is_first or self._settings.redis_url:
            self._in_order_of_stop.append(supervised)
        else:
            self._in_order_of_stop.insert(-1, supervised)
        self._watch()
        return supervised

    def _watch(self) -> None:
        self._guard.watch(pid for one in self._in_order_of_stop if (pid := one.pid))

    async def _stop(self) -> None:
        self._is_stopping = True
        for supervised in self._in_order_of_stop:
            await supervised.stop()

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        main = cast("asyncio.Task[int]", asyncio.current_task())

        def on_signal() -> None:
            if self._is_stopping:
                for supervised in self._in_order_of_stop:
                    supervised.cut()
                os._exit(_INTERRUPTED)
            self._is_stopping = True
            _print("Stopping; requests in flight are finished first. Once more to cut them off.")
            main.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)


async def _both(one: Supervised, other: Supervised) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Start two at once; when one cannot start, neither runs."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one.start()), group.create_task(other.start())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return first.result(), second.result()


def _explain(error: NotReadyError) -> int:
    """The exit code. A service that cannot start has said so itself, in one line."""
    said_why = 2
    if error.exit_code != said_why:
        sys.stderr.write(f"weir run: {error}\n")
        return 1
    return said_why


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

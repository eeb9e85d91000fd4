"""The parent: supervises the workers, ships their records, serves the admin port.

The phases of a stop:
1. the public sockets close and `/readyz` says no;
2. the workers drain: requests in flight get `WEIR_PROXY_DRAIN` to finish;
3. workers that are still there are killed; what they had in flight gets its records from their marks;
4. the rest of the journal is shipped, for a bounded time, and the connections close.
SIGHUP reads the configuration again; requests under way end where they began.
A second signal kills the workers and ends at once; the next start finds everything in the journal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
import uuid
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from weir.events.heartbeat import PERIOD_SECONDS, Heartbeat, VariantLoad, publish
from weir.events.journal import JournalWriter
from weir.events.journal_reader import JournalReader
from weir.events.writer import StreamWriter
from weir.proxy.metering.counters import NAMES
from weir.proxy.parent.admin import create_admin_app
from weir.proxy.parent.journal_home import JournalHome
from weir.proxy.parent.listening import open_sockets, public_url
from weir.proxy.parent.shipping import Shipper
from weir.proxy.parent.workers import WorkerSeat
from weir.proxy.worker_plan import WorkerPlan
from weir.servicekit import run
from weir.servicekit.malformed import GuardedRunner
from weir.servicekit.settings import SettingsError
from weir.servicekit.tasks import BackgroundTasks, cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weir.proxy.settings import ProxySettings
    from weir.proxy.worker_plan import Config

logger = logging.getLogger(__name__)

_KILL_AFTER: Final = 5.0
_SHIP_SECONDS: Final = 5.0
_CUT: Final = 1


class Parent:
    """Everything of a proxy that is not the data path."""

    def __init__(self, settings: ProxySettings, load_config: Callable[[], Config]) -> None:
        """Read the configuration, claim the journal and open the public sockets.

        Raises:
            SettingsError: the configuration is wrong.
            StartError: the journal or a socket cannot be had.
        """
        self._settings = settings
        self._load_config = load_config
        self._config = load_config()
        self._home = JournalHome.claim(settings.data_dir, settings.proxy_id)
        self._boot_id = uuid.uuid4().hex[:8]
        self._started_us = time.time_ns() // 1000
        self._lives = 0
        self._tasks = BackgroundTasks()
        self.listen, self._sockets = open_sockets(settings.listen, settings.workers)
        self._journal = JournalWriter(
            self._home.directory, f"{self._boot_id}-0", max_bytes=settings.journal_max_bytes
        )
        reader = JournalReader(self._home.directory, keep_seconds=settings.journal_keep)
        self.shipper = Shipper(self._home.directory, reader, StreamWriter(settings.redis_url), self._journal)
        self.shipper.adopt_left_behind()
        self.shipper.follow(f"{self._boot_id}-0")
        self.seats = [
            WorkerSeat(
                number,
                self._sockets[number % len(self._sockets)].fileno(),
                self._plan,
                lambda plan: self.shipper.ended(plan.writer),
            )
            for number in range(settings.workers)
        ]
        self.is_stopping = False

    async def serve(self, environ: Mapping[str, str]) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            StartError: a worker or the admin listener cannot start.
        """
        stop = self._stop_on_signals()
        admin = GuardedRunner(create_admin_app(self), access_log=None, shutdown_timeout=1.0)
        await admin.setup()
        try:
            admin_listen = await run.start_site(admin, self._settings.admin_listen, "WEIR_PROXY_ADMIN_LISTEN")
            shipping = self._tasks.keep_running("ship", self.shipper.run)
            self._tasks.keep_running("heartbeat", self._heartbeats)
            keeping = await self._start_workers()
            logger.info(
                "listening",
                extra={
                    "url": self.listen.url,
                    "admin_url": admin_listen.url,
                    "proxy_id": self._home.proxy_id,
                },
            )
            run.announce(self.listen.url, environ, admin_url=admin_listen.url)
            await stop.wait()
            await self._drain(keeping)
            self.shipper.stop()
            await asyncio.wait({shipping}, timeout=_SHIP_SECONDS)
            await cancel(shipping)
            await self.shipper.ship_rest(_SHIP_SECONDS)
        finally:
            for seat in self.seats:
                seat.kill()
            await self._tasks.close()
            await admin.cleanup()
            self._home.close()

    def totals(self) -> dict[str, int]:
        """The workers' counters, added up."""
        readings = [seat.counters.read() for seat in self.seats]
        totals = {name: sum(reading[name] for reading in readings) for name in NAMES}
        totals["journaled"] += self.shipper.crash_records
        totals["dropped"] += self.shipper.lost_crash_records
        return totals

    def _plan(self, listen_fd: int, counters_fd: int) -> WorkerPlan:
        """A new life of a worker: a new name in the journal."""
        settings = self._settings
        self._lives += 1
        writer = f"{self._boot_id}-{self._lives}"
        self.shipper.follow(writer)
        return WorkerPlan(
            writer=writer,
            proxy_id=self._home.proxy_id,
            journal_directory=str(self._home.directory),
            journal_max_bytes=max(1, settings.journal_max_bytes // settings.workers),
            listen_fd=listen_fd,
            counters_fd=counters_fd,
            config=self._config,
            open_groups=settings.open_endpoints,
            cors_origins=settings.cors_origins,
            proxy_protocol=settings.proxy_protocol,
            max_in_flight=settings.max_in_flight,
            max_body_bytes=settings.max_body,
            connect_timeout=settings.connect_timeout,
            first_byte_timeout=settings.first_byte_timeout,
            idle_timeout=settings.idle_timeout,
            total_timeout=settings.total_timeout,
            head_timeout=settings.head_timeout,
            keep_alive_timeout=settings.keep_alive,
            drain_seconds=settings.drain,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )

    async def _start_workers(self) -> list[asyncio.Task[None]]:
        loop = asyncio.get_running_loop()
        ready = [loop.create_future() for _ in self.seats]
        keeping = [
            self._tasks.start(f"worker {number}", seat.keep(first))
            for number, (seat, first) in enumerate(zip(self.seats, ready, strict=True))
        ]
        await asyncio.gather(*ready)
        return keeping

    async def _drain(self, keeping: list[asyncio.Task[None]]) -> None:
        self.is_stopping = True
        for listening in self._sockets:
            listening.close()
        for seat in self.seats:
            seat.stop()
        _, late = await asyncio.wait(keeping, timeout=self._settings.drain + _KILL_AFTER)
        for seat in self.seats if late else ():
            seat.kill()
        await asyncio.gather(*keeping, return_exceptions=True)

    async def _heartbeats(self) -> None:
        redis = Redis.from_url(self._settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
        try:
            while True:
                try:
                    await publish(redis, self._heartbeat())
                except (RedisError, OSError):
                    logger.debug("heartbeat not sent")  # the shipper says what is wrong with Redis
                await asyncio.sleep(PERIOD_SECONDS)
        finally:
            await redis.aclose()

    def _heartbeat(self) -> Heartbeat:
        totals = self.totals()
        return Heartbeat(
            proxy_id=self._home.proxy_id,
            boot_id=self._boot_id,
            version=version("weir-proxy"),
            started_at=self._started_us,
            sent_at=time.time_ns() // 1000,
            workers=len(self.seats),
            max_in_flight=self._settings.max_in_flight * len(self.seats),
            variants={
                variant: VariantLoad(in_flight=totals[f"in_flight_{variant}"])
                for variant in sorted({upstream.variant for upstream in self._config.upstreams})
            },
            accepted=totals["accepted"],
            journaled=totals["journaled"],
            acknowledged=self.shipper.acknowledged,
            dropped=totals["dropped"],
            public_url=self._settings.public_url or public_url(self.listen),
            public_port=self.listen.port,
            demo=any(upstream.provider == "echo" for upstream in self._config.upstreams),
            clients_required=bool(self._config.clients),
        )

    def _stop_on_signals(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def on_signal() -> None:
            if stop.is_set():
                for seat in self.seats:
                    seat.kill()
                os._exit(_CUT)
            logger.info("stopping")
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        return stop

    def _reload(self) -> None:
        """Read the configuration again. A wrong one is said, and the one in force stays."""
        try:
            self._config = self._load_config()
        except SettingsError as error:
            logger.error("configuration not reloaded: %s", error)  # noqa: TRY400 - the message says it all
            return
        for seat in self.seats:
            seat.reload(self._config)
        logger.info(
            "configuration reloaded", extra={"upstreams": [one.name for one in self._config.upstreams]}
        )

"""The parent: supervises the workers, ships their records, serves the admin port.

The phases of a stop:
1. `/readyz` says no, and the public sockets close: nobody new is let in;
2. the workers drain: requests in flight get `WEIR_PROXY_DRAIN` to finish, and the workers end;
3. workers that are still there are killed; what they had in flight gets its records from their marks;
4. the rest of the journal is shipped, for a bounded time, and the last account is published;
5. the connections to Redis and the admin listener close, and the journal folder is unlocked. Exit code 0.
SIGHUP reads the configuration and the certificates again; requests under way end where they began.
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

from redis.exceptions import RedisError

from weir.events.accounts import publish_accounts
from weir.events.heartbeat import PERIOD_SECONDS, Heartbeat, VariantLoad, publish
from weir.events.journal_ledger import Tally
from weir.events.journal_reader import JournalReader
from weir.events.redis_url import connect
from weir.events.writer import StreamWriter
from weir.proxy.metering.counters import NAMES
from weir.proxy.metering.measures.from_journal import count_rest
from weir.proxy.metering.measures.labels import ModelNames, named_models
from weir.proxy.metering.measures.table import Table
from weir.proxy.parent.admin import create_admin_app
from weir.proxy.parent.desk import Desk
from weir.proxy.parent.exposition import Gathering
from weir.proxy.parent.journal_home import JournalHome
from weir.proxy.parent.listening import open_sockets, public_url, url_of
from weir.proxy.parent.shipping import Shipper
from weir.proxy.parent.workers import WorkerSeat
from weir.proxy.worker_plan import WorkerPlan
from weir.servicekit import run
from weir.servicekit.malformed import GuardedRunner
from weir.servicekit.settings import SettingsError
from weir.servicekit.tasks import BackgroundTasks, cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis.asyncio import Redis

    from weir.events.accounts import Account
    from weir.proxy.parent.exposition import Totals
    from weir.proxy.settings import ProxySettings
    from weir.proxy.worker_plan import Config

logger = logging.getLogger(__name__)

_KILL_AFTER: Final = 5.0
_SHIP_SECONDS: Final = 5.0
_SYNC_SECONDS: Final = 1.0
_REDIS_SECONDS: Final = 2.0
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
        self._desk = self._open_desk(self._home, self._boot_id)
        self._desk.adopt_left_behind()
        stream = StreamWriter(settings.redis_url, shards=settings.stream_shards)
        self._stream = stream
        self.shipper = Shipper(self._desk, stream, self._look_round)
        self.sync_trouble: str | None = None
        """Why the disk does not take what the journal holds; None while it does."""
        self.seats = [
            WorkerSeat(
                number,
                self._sockets[number % len(self._sockets)].fileno(),
                self._plan,
                self._worker_ended,
            )
            for number in range(settings.workers)
        ]
        self.is_stopping = False
        self._gathering = Gathering(self._model_names())

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
            if self._settings.journal_fsync == "interval":
                self._tasks.keep_running("sync", self._sync_journal)
            keeping = await self._start_workers()
            url = url_of(self.listen, tls=self._config.tls is not None)
            logger.info(
                "listening",
                extra={
                    "url": url,
                    "admin_url": admin_listen.url,
                    "proxy_id": self._home.proxy_id,
                },
            )
            run.announce(url, environ, admin_url=admin_listen.url)
            await stop.wait()
            await self._drain(keeping)
            self.shipper.stop()
            await asyncio.wait({shipping}, timeout=_SHIP_SECONDS)
            await cancel(shipping)
            await self.shipper.ship_rest(_SHIP_SECONDS)
            await self._publish_last()
        finally:
            for seat in self.seats:
                seat.kill()
            await self._tasks.close()
            await self._stream.close()
            await admin.cleanup()
            for desk in self.shipper.desks:
                desk.close()

    def totals(self) -> dict[str, int]:
        """The workers' counters, added up."""
        readings = [seat.counters.read() for seat in self.seats]
        return {name: sum(reading[name] for reading in readings) for name in NAMES}

    def measured(self) -> Totals:
        """What the workers measured of their requests, added up."""
        return self._gathering.gather(seat.measures for seat in self.seats)

    def account(self) -> Account:
        """What became of the requests of this life."""
        accounts = self._desk.accounts(self._living())
        return next(account for account in accounts if account.boot_id == self._boot_id)

    def refusing(self) -> list[int]:
        """Why workers' journals take no records now, for each that does not."""
        readings = [seat.counters.read()["journal_refusing"] for seat in self.seats]
        return [reason for reason in readings if reason]

    def _living(self) -> dict[str, Tally]:
        """What the counters of each worker say that lives now."""
        return {seat.writer: _tally(seat.life()) for seat in self.seats if seat.writer is not None}

    def _model_names(self) -> ModelNames:
        return ModelNames(self._settings.metrics_models, named_models(self._config.upstreams))

    def _worker_ended(self, plan: WorkerPlan, last: dict[str, int]) -> None:
        """Take over what a worker leaves behind. What it had not added up yet is in its records."""
        self._desk.ended(plan.writer, _tally(last))
        if self.is_stopping:
            return
        table = Table(plan.measures_fd)
        count_rest(table, self._model_names(), self._home.directory, plan.writer)
        table.close()

    def _plan(self, listen_fd: int, counters_fd: int, measures_fd: int) -> WorkerPlan:
        """A new life of a worker: a new name in the journal."""
        settings = self._settings
        self._lives += 1
        writer = f"{self._boot_id}-{self._lives}"
        self._desk.reader.follow(writer)
        return WorkerPlan(
            writer=writer,
            proxy_id=self._home.proxy_id,
            journal_directory=str(self._home.directory),
            journal_max_bytes=settings.journal_max_bytes,
            journal_sync=settings.journal_fsync == "always",
            journal_reject=settings.journal_full == "reject",
            listen_fd=listen_fd,
            counters_fd=counters_fd,
            measures_fd=measures_fd,
            metrics_models=settings.metrics_models,
            config=self._config,
            open_groups=settings.open_endpoints,
            cors_origins=settings.cors_origins,
            proxy_protocol=settings.proxy_protocol,
            max_in_flight=settings.max_in_flight,
            max_body_bytes=settings.max_body,
            max_upload_bytes=settings.max_upload,
            min_body_rate=settings.min_body_rate,
            connect_timeout=settings.connect_timeout,
            first_byte_timeout=settings.first_byte_timeout,
            idle_timeout=settings.idle_timeout,
            total_timeout=settings.total_timeout,
            head_timeout=settings.head_timeout,
            keep_alive_timeout=settings.keep_alive,
            drain_seconds=settings.drain,
            limits=settings.client_limits(),
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

    def _open_desk(self, home: JournalHome, boot_id: str = "") -> Desk:
        settings = self._settings
        reader = JournalReader(
            home.directory, keep_seconds=settings.journal_keep, max_bytes=settings.journal_max_bytes
        )
        return Desk(home, reader, boot_id=boot_id)

    def _look_round(self, shipper: Shipper) -> None:
        """Take over folders whose owners are gone; give back those whose owners have come, and empty ones."""
        for desk in shipper.desks[1:]:
            if desk.home.is_wanted or desk.is_empty:
                logger.info("journal of another proxy given back", extra={"of": desk.home.proxy_id})
                shipper.desks.remove(desk)
                desk.close()
        for home in self._home.abandoned(self._settings.journal_adopt_after):
            logger.warning("journal of a proxy that is gone taken over", extra={"of": home.proxy_id})
            desk = self._open_desk(home)
            desk.adopt_left_behind()
            shipper.take_over(desk)

    async def _sync_journal(self) -> None:
        """Every second, put what the workers wrote onto the disk."""
        while True:
            await asyncio.sleep(_SYNC_SECONDS)
            try:
                await asyncio.to_thread(self._desk.reader.sync())
                self.sync_trouble = None
            except OSError as error:
                if self.sync_trouble is None:
                    logger.error("the journal is not safe on the disk: %s", error.strerror)  # noqa: TRY400 - says it all
                self.sync_trouble = error.strerror or "unknown error"

    async def _heartbeats(self) -> None:
        redis = self._redis()
        try:
            while True:
                self._home.touch()
                for desk in self.shipper.desks[1:]:
                    desk.home.touch()
                try:
                    await publish(redis, self._heartbeat())
                    await self._publish_accounts(redis)
                except (RedisError, OSError):
                    logger.debug("heartbeat not sent")  # the shipper says what is wrong with Redis
                await asyncio.sleep(PERIOD_SECONDS)
        finally:
            await redis.aclose()

    async def _publish_accounts(self, redis: Redis) -> None:
        for desk in tuple(self.shipper.desks):
            news = desk.news(desk.accounts(self._living()))
            await publish_accounts(redis, news)
            desk.told(news)

    async def _publish_last(self) -> None:
        """The account as this life leaves it."""
        redis = self._redis()
        try:
            await self._publish_accounts(redis)
        except (RedisError, OSError):
            logger.debug("last account not sent; the next start does it")
        finally:
            await redis.aclose()

    def _redis(self) -> Redis:
        return connect(self._settings.redis_url, connect_timeout=_REDIS_SECONDS, timeout=_REDIS_SECONDS)

    def _heartbeat(self) -> Heartbeat:
        totals, account = self.totals(), self.account()
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
            accepted=account.accepted,
            journaled=account.journaled,
            acknowledged=account.acknowledged,
            dropped=account.dropped,
            crashed=account.crashed,
            in_flight=account.in_flight,
            in_journal=account.in_journal,
            in_journal_bytes=account.in_journal_bytes,
            public_url=self._settings.public_url or public_url(self.listen, tls=self._config.tls is not None),
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


def _tally(counted: dict[str, int]) -> Tally:
    return Tally(accepted=counted["accepted"], journaled=counted["journaled"], dropped=counted["dropped"])

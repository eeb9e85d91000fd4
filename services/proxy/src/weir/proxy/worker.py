"""One worker: the data path and nothing else. Builds every room, serves, drains.

The control pipe (standard input) brings the plan as its first line, and a new configuration as each later
one. Its end means that the parent is gone or wants us to stop. The phases of a stop:
1. stop accepting; connections that are idle close, the others after their response;
2. requests in flight get `drain_seconds` to finish, and their answers to be read;
3. what is left is cut, each with its record, and the journal is closed.
A second SIGTERM goes to phase 3 at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop

from weir.events.journal import JournalWriter
from weir.events.journal_marks import StartMarks
from weir.proxy.access.cors import Cors
from weir.proxy.access.keys import Keys
from weir.proxy.endpoints import ENDPOINTS, EndpointTable
from weir.proxy.forwarding.forward import Forwarder
from weir.proxy.handlers.models import MERGED, MergedModels
from weir.proxy.metering.counters import Counters
from weir.proxy.metering.ids import RequestIds
from weir.proxy.metering.measures.labels import ModelNames, named_models
from weir.proxy.metering.measures.measures import Measures
from weir.proxy.metering.measures.table import Table
from weir.proxy.metering.recorder import Recorder
from weir.proxy.pipeline.bodies import BodyLimits
from weir.proxy.pipeline.pipeline import Pipeline
from weir.proxy.pipeline.routes import Routes
from weir.proxy.providers import DIALECTS, PROVIDERS
from weir.proxy.routing.router import Router
from weir.proxy.tls import server_context
from weir.proxy.upstream import Timeouts
from weir.proxy.wire.client_tls import EncryptedClient
from weir.proxy.wire.crowd import Crowd
from weir.proxy.wire.framing import HeadLimits
from weir.proxy.wire.known_heads import KnownHeads
from weir.proxy.wire.patience import ClientTimeouts
from weir.proxy.wire.server import ClientConnection
from weir.proxy.worker_plan import Config, WorkerPlan
from weir.servicekit import logs
from weir.servicekit.clock import SystemClock
from weir.servicekit.tasks import BackgroundTasks

if TYPE_CHECKING:
    from weir.servicekit.clock import Clock

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 0.5
BACKLOG: Final = 4096
"""asyncio listens once more on an inherited socket, with 100 unless told."""
GC_THRESHOLDS: Final = (20_000, 20, 100)
"""What a request makes is freed by its last reference, so there is little for the collector to find."""
_DRAIN_LOOK_SECONDS: Final = 0.02
READY: Final = b"ready\n"


class Worker:
    """The rooms of the data path, built once."""

    def __init__(self, plan: WorkerPlan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._tasks = BackgroundTasks()
        self._connections: set[ClientConnection] = set()
        limits = plan.limits
        self._limits = HeadLimits(
            limits.target_bytes,
            limits.header_bytes,
            limits.head_bytes,
            limits.fields,
            limits.chunk_extension_bytes,
        )
        self._timeouts = ClientTimeouts(
            plan.head_timeout, plan.keep_alive_timeout, plan.min_body_rate, limits.stalled
        )
        self._crowd = Crowd(limits.connections, limits.connections_of_address, limits.trusted)
        self._known = KnownHeads()
        directory = Path(plan.journal_directory)
        self._counters = Counters(plan.counters_fd)
        self._counters.reset_gauges()
        self._measures = Measures(
            Table(plan.measures_fd), ModelNames(plan.metrics_models, named_models(plan.config.upstreams))
        )
        self._journal = JournalWriter(
            directory,
            plan.writer,
            max_bytes=plan.journal_max_bytes,
            sync=plan.journal_sync,
            overrun=plan.journal_reject,
        )
        self._marks = StartMarks(directory, plan.writer, plan.max_in_flight)
        self._forwarders: list[Forwarder] = []
        self._pair = plan.config.tls
        self._tls = server_context(self._pair) if self._pair is not None else None
        self._pipeline = Pipeline(
            EndpointTable(ENDPOINTS, plan.open_groups),
            DIALECTS,
            cors=Cors(plan.cors_origins),
            routes=self._routes(plan.config),
            recorder=Recorder(
                plan.proxy_id,
                plan.writer,
                self._journal,
                self._marks,
                self._counters,
                self._measures,
                clock.monotonic,
            ),
            counters=self._counters,
            request_ids=RequestIds(),
            handlers=dict.fromkeys(MERGED, MergedModels(self._tasks)),
            clock=clock,
            limits=BodyLimits(plan.max_body_bytes, plan.max_upload_bytes),
        )

    async def serve(self, stop: asyncio.Event, cut: asyncio.Event) -> None:
        """Serve until `stop`, then drain until every connection is closed, the time is over, or `cut`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self._connect if self._tls is None else self._connect_encrypted,
            sock=socket.socket(fileno=self._plan.listen_fd),
            backlog=BACKLOG,
        )
        sweeping = self._tasks.start("sweep", self._sweep())
        # What lives as long as the process need not be looked at by every garbage collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        if not say_ready(sys.stdout.fileno()):
            stop.set()
        await stop.wait()
        server.close()
        await self._drain(cut)
        self._pipeline.drop_all()
        sweeping.cancel()
        for connection in tuple(self._connections):
            connection.abort()
        for forwarder in self._forwarders:
            forwarder.close()
        await self._tasks.close()
        self._measures.show()
        self._journal.close()
        self._marks.close()

    def reload(self, config: Config) -> None:
        """Take other upstreams, clients and another certificate. What is under way ends where it began."""
        if config.tls is not None and config.tls != self._pair:
            self._pair, self._tls = config.tls, server_context(config.tls)
        self._pipeline.reconfigure(self._routes(config))
        self._measures.admit_models(named_models(config.upstreams))
        self._known.forget()

    def _routes(self, config: Config) -> Routes:
        plan = self._plan
        forwarder = Forwarder(
            config.upstreams,
            DIALECTS,
            timeouts=Timeouts(
                plan.connect_timeout, plan.first_byte_timeout, plan.idle_timeout, plan.total_timeout
            ),
            pass_client_keys=not config.clients,
            scheme=b"http" if config.tls is None else b"https",
            tasks=self._tasks,
            monotonic=self._clock.monotonic,
        )
        self._forwarders.append(forwarder)
        return Routes(Keys(config.clients), Router(config.upstreams, PROVIDERS), forwarder)

    def _connect(self) -> ClientConnection:
        self._counters.add("connections")
        return ClientConnection(
            self._pipeline,
            self._limits,
            self._clock.monotonic,
            self._connections,
            known=self._known,
            proxy_protocol=self._plan.proxy_protocol and self._tls is None,
            crowd=self._crowd,
            most_requests=self._plan.limits.requests,
        )

    def _connect_encrypted(self) -> EncryptedClient:
        assert self._tls is not None  # noqa: S101 - a reload never takes it away
        return EncryptedClient(
            self._tls,
            self._connect,
            seconds=self._plan.head_timeout,
            proxy_protocol=self._plan.proxy_protocol,
        )

    async def _drain(self, cut: asyncio.Event) -> None:
        deadline = self._clock.monotonic() + self._plan.drain_seconds
        while self._connections and (left := deadline - self._clock.monotonic()) > 0:
            for connection in tuple(self._connections):  # each time: one may have been on its way in
                connection.drain()
            try:
                await asyncio.wait_for(cut.wait(), min(left, _DRAIN_LOOK_SECONDS))
            except TimeoutError:
                continue
            return

    async def _sweep(self) -> None:
        """The timer of everything: slow heads, idle and lingering connections, overdue upstreams."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._clock.monotonic()
            self._counters.set("connections_open", len(self._connections))
            self._measures.show()
            self._journal.look_again()
            self._counters.set("journal_refusing", self._journal.refusing)
            for connection in tuple(self._connections):
                connection.sweep(now, self._timeouts)
            for forwarder in self._forwarders:
                forwarder.sweep(now)
            for retired in [one for one in self._forwarders[:-1] if not one.is_busy]:
                retired.close()
                self._forwarders.remove(retired)


async def run(plan: WorkerPlan) -> None:
    """Serve until the parent or a signal says stop."""
    loop = asyncio.get_running_loop()
    stop, cut = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (cut if stop.is_set() else stop).set()

    loop.add_signal_handler(signal.SIGTERM, on_signal)
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    worker = Worker(plan, SystemClock())
    control = bytearray()

    def on_control() -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            loop.remove_reader(sys.stdin.fileno())
            stop.set()
        control.extend(data)
        while b"\n" in control:
            line, _, rest = bytes(control).partition(b"\n")
            control[:] = rest
            worker.reload(msgspec.json.decode(line, type=Config))

    loop.add_reader(sys.stdin.fileno(), on_control)
    await worker.serve(stop, cut)


def say_ready(fd: int) -> bool:
    """Tell the parent. False if it has died since it started us."""
    try:
        os.write(fd, READY)
    except BrokenPipeError:
        logger.warning("the proxy that started this worker is gone, so it ends")
        return False
    return True


def read_plan() -> WorkerPlan:
    """The plan, from the control pipe; unbuffered, so that nothing after it is lost."""
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = os.read(sys.stdin.fileno(), 65536)
        if not piece:
            raise SystemExit("a worker is started by the proxy, not by hand; run: python -m weir.proxy")
        data += piece
    return msgspec.json.decode(data, type=WorkerPlan)


def allow_descriptors() -> None:
    """Take all the descriptors that the machine allows: each stream needs two."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # macOS names a limit that it does not allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    plan = read_plan()
    allow_descriptors()
    logs.configure("proxy", plan.log_level, plan.log_format)
    uvloop.run(run(plan))


if __name__ == "__main__":
    main()

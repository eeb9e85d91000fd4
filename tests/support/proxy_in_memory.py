"""The proxy's data path in one process without a network: both its ends are lists of bytes."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.support.fixtures import HeldClock
from tests.support.measures import new_measures, new_table
from tests.support.transport import FakeTransport

from weir.events import decode
from weir.events.journal import JournalWriter
from weir.events.journal_marks import StartMarks, marks_path, open_marks
from weir.events.journal_reader import JournalReader
from weir.proxy.access.cors import Cors
from weir.proxy.access.keys import Keys
from weir.proxy.endpoints import ENDPOINTS, EndpointTable
from weir.proxy.forwarding.forward import Forwarder
from weir.proxy.handlers.models import MERGED, MergedModels
from weir.proxy.metering.counters import Counters, create_file
from weir.proxy.metering.ids import RequestIds
from weir.proxy.metering.recorder import Recorder
from weir.proxy.pipeline.bodies import BodyLimits
from weir.proxy.pipeline.pipeline import Pipeline
from weir.proxy.pipeline.routes import Routes
from weir.proxy.providers import DIALECTS, PROVIDERS
from weir.proxy.routing.router import Router
from weir.proxy.upstream import Timeouts, Upstream
from weir.proxy.wire.framing import HeadLimits
from weir.proxy.wire.known_heads import KnownHeads
from weir.proxy.wire.server import ClientConnection
from weir.proxy.wire.upstream import UpstreamConnection, UpstreamPool
from weir.servicekit.tasks import BackgroundTasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from weir.events import RequestEvent

UPSTREAM = Upstream(name="one", url="http://upstream.test/v1")
TIMEOUTS = Timeouts(connect=5.0, first_byte=60.0, idle=30.0, total=600.0)


async def turns() -> None:
    """Let the loop do what has been called soon."""
    for _ in range(20):
        await asyncio.sleep(0)


class UpstreamEnd:
    """One connection to an upstream, seen from there."""

    def __init__(self, pool: UpstreamPool) -> None:
        self.transport = FakeTransport()
        self.connection = UpstreamConnection(pool)
        self.connection.connection_made(self.transport)
        self._is_lost = False

    def take(self) -> bytes:
        """What the proxy has sent since the last look."""
        return self.transport.take()

    def say(self, data: bytes) -> None:
        self.connection.data_received(data)

    def lose(self, error: Exception | None = None) -> None:
        """The connection ends; also what a loop does in the turn after a protocol closed its transport."""
        if not self._is_lost:
            self._is_lost = True
            self.connection.connection_lost(error)


class FakeNetwork(UpstreamPool):
    """A pool whose connections end here. Connecting waits while `gate` is not set."""

    def __init__(self, pool: UpstreamPool) -> None:
        super().__init__(pool.address, tls=None, idle_seconds=60.0, monotonic=pool._monotonic)
        self.ends: list[UpstreamEnd] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.refusal: Exception | None = None

    async def connect(self) -> UpstreamConnection:
        await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal
        self.ends.append(UpstreamEnd(self))
        self.opened += 1
        return self.ends[-1].connection


class ClientEnd:
    """One client's connection, seen from there."""

    def __init__(self, proxy: InMemoryProxy) -> None:
        self.transport = FakeTransport()
        self.connection = ClientConnection(
            proxy.pipeline, HeadLimits(), proxy.clock.monotonic, proxy.connections, known=proxy.known
        )
        self.connection.connection_made(self.transport)

    def take(self) -> bytes:
        return self.transport.take()

    async def say(self, data: bytes) -> None:
        self.connection.data_received(data)
        await turns()

    async def leave(self) -> None:
        self.connection.connection_lost(None)
        await turns()


class InMemoryProxy:
    """What a worker builds, with fake networks in place of the pools."""

    def __init__(
        self,
        directory: Path,
        *,
        upstreams: Sequence[Upstream] = (UPSTREAM,),
        clients: Mapping[str, str] | None = None,
        max_in_flight: int = 8,
        max_body_bytes: int = 10_000,
        max_upload_bytes: int = 10 << 20,
        origins: Sequence[str] = (),
        open_groups: Sequence[str] = (),
    ) -> None:
        self.clock = HeldClock()
        self.tasks = BackgroundTasks()
        self.connections: set[ClientConnection] = set()
        self.known = KnownHeads()
        self._directory = directory
        self._counters_fd = create_file()
        self.counters = Counters(self._counters_fd)
        self.table = new_table()
        self.measures = new_measures(self.table)
        self._journal = JournalWriter(directory, "w1", max_bytes=1 << 20)
        self._marks = StartMarks(directory, "w1", max_in_flight)
        self._reader = JournalReader(directory, keep_seconds=0)
        self._reader.follow("w1")
        self.forwarder = Forwarder(
            upstreams,
            DIALECTS,
            timeouts=TIMEOUTS,
            pass_client_keys=not clients,
            tasks=self.tasks,
            monotonic=self.clock.monotonic,
        )
        self.networks = {name: FakeNetwork(pool) for name, pool in self.forwarder._pools.items()}
        self.forwarder._pools.update(self.networks)
        for name, lane in self.forwarder._lanes.items():
            self.forwarder._lanes[name] = replace(lane, pool=self.networks[name])
        self.pipeline = Pipeline(
            EndpointTable(ENDPOINTS, open_groups),
            DIALECTS,
            cors=Cors(origins),
            routes=Routes(
                Keys(clients or {}), Router(upstreams, PROVIDERS, draw=lambda: 0.0), self.forwarder
            ),
            recorder=Recorder(
                *("p1", "w1", self._journal, self._marks, self.counters),
                *(self.measures, self.clock.monotonic),
            ),
            counters=self.counters,
            request_ids=RequestIds(),
            handlers=dict.fromkeys(MERGED, MergedModels(self.tasks)),
            clock=self.clock,
            limits=BodyLimits(max_body_bytes, max_upload_bytes),
        )

    @property
    def network(self) -> FakeNetwork:
        """The only upstream's."""
        (network,) = self.networks.values()
        return network

    @property
    def upstream(self) -> UpstreamEnd:
        """The end of the latest connection to it."""
        return self.network.ends[-1]

    def client(self) -> ClientEnd:
        return ClientEnd(self)

    def records(self) -> list[RequestEvent]:
        """The records written since the last look."""
        return [decode(payload) for payload in self._reader.read(1000).payloads]

    def record(self) -> RequestEvent:
        """The one record written since the last look."""
        (record,) = self.records()
        return record

    def open_marks(self) -> list[RequestEvent]:
        """The records that a crash in this moment would leave."""
        return [decode(payload) for payload in open_marks(marks_path(self._directory, "w1"))]

    def sweep_after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.forwarder.sweep(self.clock.monotonic())

    async def close(self) -> None:
        await self.tasks.close()
        self._journal.close()
        self._marks.close()
        self._reader.close()
        self.table.close()
        self.counters.close()
        os.close(self._counters_fd)

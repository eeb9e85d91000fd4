"""The systematic run: somebody is killed at the Nth thing it says to Redis or to its database, for every N.

Each stop starts the victim anew, lets it work until it dies, starts it again whole, and waits until all that
was sent is stored. The servers stay; the victims are forked (nursery), so a stop takes about a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from redis.asyncio import Redis
from tests.fault.balance import Balance, compare
from tests.fault.inquest import inquest
from tests.fault.ledger import Entry, Ledger, Tokens
from tests.fault.nursery import Nursery, SqlStop
from tests.support.builders import make_event
from tests.support.gate import Gate, PostgresDialect, RedisDialect
from tests.support.raw_http import fetch
from tests.support.redis_server import RedisServer, free_port
from tests.support.waiting import eventually

from weir.events import encode
from weir.events.stream import FIELD, GROUP, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from tests.fault.installation import Kind
    from tests.fault.nursery import Victim
    from tests.support.gate import When
    from tests.support.postgres_server import PostgresServer

    from weir.events import RequestEvent

Where = Literal["redis", "sql"]

BACKLOG: Final = 24
"""Records that wait when the victim starts."""
DRIP: Final = 3
"""Records that come at a time while it lives."""
DRIP_SECONDS: Final = 0.03
LONGEST_LIFE: Final = 60.0
"""Seconds in which the Nth question must have come."""
SETTLE_SECONDS: Final = 60.0
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Stop:
    """Kill the metrics API at the Nth question, before it is passed on or after it was answered."""

    where: Where
    at: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.where} {self.at}"


def stops(numbers: Iterable[int]) -> list[Stop]:
    """All the stops of these numbers."""
    places: tuple[Where, ...] = ("redis", "sql")
    moments: tuple[When, ...] = ("before", "after")
    return [Stop(*stop) for stop in itertools.product(places, numbers, moments)]


@dataclass(slots=True)
class StopsReport:
    """How it went."""

    victim: str
    kind: Kind
    stopped: int = 0
    records: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list[str])
    balance: Balance = field(default_factory=Balance)
    stops: list[str] = field(default_factory=list[str])
    """At what it was stopped, and when."""
    known: list[str] = field(default_factory=list[str])
    """What the files say of the first lost records."""
    kept: Path | None = None
    """Where the log of the victims, the journal, the database and Redis's file are."""

    @property
    def explained(self) -> str:
        """All that is known of a failed run."""
        return "\n".join(
            [f"kept in: {self.kept}", str(self), *self.failures[:SHOWN], *self.known, *self.stops]
        )

    def end(self, directory: Path, began: float) -> None:
        """Look into what is left of the lost ones."""
        self.seconds = time.monotonic() - began
        self.kept = directory
        self.known = [inquest(directory, one) for one in self.balance.lost_ids[:SHOWN]]

    def stopped_at(self, what: str) -> None:
        self.stopped += 1
        self.stops.append(f"stopped {what}, over at {datetime.now(UTC):%H:%M:%S.%f} UTC")

    def __str__(self) -> str:
        return (
            f"{self.victim} on {self.kind}: stopped {self.stopped} times, {self.records} records, "
            f"{self.balance.rows} rows in {self.seconds:.0f} s; lost {len(self.balance.lost)}, "
            f"doubled {len(self.balance.doubled)}, {len(self.failures)} failures"
        )


class MetricsApiStops:
    """The metrics API as the victim. Use as a context manager; one `stop` at a time."""

    def __init__(self, directory: Path, kind: Kind, postgres: PostgresServer | None) -> None:
        self._directory = directory
        self._kind: Kind = kind
        self._postgres = postgres
        self._redis_server = RedisServer(directory / "redis")
        self._ledger = Ledger()
        self._sent = 0
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._redis_server.start)
        self._opened.callback(self._redis_server.stop)
        self._redis = Redis.from_url(self._redis_server.url)
        self._opened.push_async_callback(self._redis.aclose)
        self._nursery = await self._opened.enter_async_context(Nursery(self._directory))
        self._redis_gate = await self._opened.enter_async_context(Gate(self._redis_server.port, RedisDialect))
        self._sql_gate: Gate | None = None
        self.database = str(self._directory / "weir.db")
        url = self.database
        if self._postgres is not None:
            self._sql_gate = await self._opened.enter_async_context(
                Gate(self._postgres.port, PostgresDialect)
            )
            self.database = await asyncio.to_thread(self._postgres.database)
            url = self.database.replace(str(self._postgres.port), str(self._sql_gate.port), 1)
        self._env = {
            "REDIS_URL": f"redis://127.0.0.1:{self._redis_gate.port}/0",
            "WEIR_DATABASE_URL": url,
            "WEIR_DATA_DIR": str(self._directory),
            "WEIR_API_LISTEN": f"127.0.0.1:{free_port()}",
            "WEIR_LOG_FORMAT": "json",
        }
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def stop(self, stop: Stop) -> list[str]:
        """Kill it there, start it again, and say what does not agree then."""
        since = len(self._ledger.entries)
        await self._send(stop, BACKLOG)
        victim = await self._bear(stop)
        await self._until_it_dies(stop, victim)
        for gate in self._gates:
            gate.disarm()
        again = await self._nursery.bear("weir.metrics_api", self._env)
        await asyncio.wait_for(again.ready.wait(), SETTLE_SECONDS)
        await eventually(self._settled, f"all is read after {stop}", SETTLE_SECONDS)
        found = await self._differences(again, since)
        again.kill()
        await again.ended.wait()
        return [f"{stop}: {difference}" for difference in found]

    async def balance(self) -> Balance:
        """All rows and all sums, when nobody else has the database open."""
        return await compare(self._ledger, self._kind, self.database)

    @property
    def records(self) -> int:
        return len(self._ledger.entries)

    @property
    def _gates(self) -> list[Gate]:
        return [self._redis_gate] if self._sql_gate is None else [self._redis_gate, self._sql_gate]

    async def _bear(self, stop: Stop) -> Victim:
        """The victim: it will be killed at the gate, or will kill itself inside SQLite."""
        if stop.where == "sql" and self._sql_gate is None:
            return await self._nursery.bear("weir.metrics_api", self._env, SqlStop(stop.at, stop.when))
        born: list[Victim] = []
        gate = self._redis_gate if self._sql_gate is None or stop.where == "redis" else self._sql_gate
        gate.arm(stop.at, stop.when, lambda: born[0].kill())  # noqa: PLW0108 - it is born below
        born.append(await self._nursery.bear("weir.metrics_api", self._env))
        return born[0]

    async def _until_it_dies(self, stop: Stop, victim: Victim) -> None:
        end = time.monotonic() + LONGEST_LIFE
        while not victim.ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(victim.ended.wait(), DRIP_SECONDS)
            await self._send(stop, DRIP)
            assert time.monotonic() < end, f"{stop} did not come within {LONGEST_LIFE:g} s"

    async def _send(self, stop: Stop, count: int) -> None:
        """As a proxy does."""
        pipe = self._redis.pipeline(transaction=False)
        for _ in range(count):
            self._sent += 1
            event = make_event(
                started_at=None, client_request_id=f"{self._sent} at {stop}", model=f"m{self._sent % 5}"
            )
            self._ledger.entries.append(_entry(event, str(stop)))
            pipe.xadd(REQUESTS, {FIELD: encode(event)})
        await pipe.execute()

    async def _settled(self) -> bool:
        return await settled(self._redis)

    async def _differences(self, api: Victim, since: int) -> list[str]:
        """What the API says of all requests, and of those of this stop one by one."""
        found: list[str] = []
        summary = (await fetch(api.url, "GET", "/api/summary?range=24h")).json()["total"]
        wanted = {
            "requests": len(self._ledger.entries),
            "tokens_input": sum(entry.tokens.prompt for entry in self._ledger.entries if entry.tokens),
        }
        found += [
            f"{name} is {summary[name]}, sent were {value}"
            for name, value in wanted.items()
            if summary[name] != value
        ]
        mine = {entry.request_id for entry in self._ledger.entries[since:]}
        stored: list[str] = []
        cursor = ""
        while len(stored) < len(mine):
            page = (await fetch(api.url, "GET", f"/api/requests?range=24h&limit=200{cursor}")).json()
            stored += [row["request_id"] for row in page["items"]]
            if not page["next_cursor"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        if lost := mine - set(stored):
            found.append(f"{len(lost)} rows are missing, such as {min(map(str, lost))}")
        if len(stored) != len(set(stored)):
            found.append(f"{len(stored) - len(set(stored))} rows are there twice")
        return found


async def run_stops(
    directory: Path, kind: Kind, postgres: PostgresServer | None, wanted: Iterable[Stop]
) -> StopsReport:
    """One stop after the other, and the whole comparison at the end."""
    report = StopsReport("metrics API", kind)
    began = time.monotonic()
    async with MetricsApiStops(directory, kind, postgres) as victims:
        for stop in wanted:
            report.failures += await victims.stop(stop)
            report.stopped_at(str(stop))
        report.balance = await victims.balance()
        report.failures += report.balance.differences
        report.records = victims.records
    report.end(directory, began)
    return report


async def settled(redis: Redis) -> bool:
    """Whether the metrics API has read and acknowledged every entry of the stream."""
    newest = await redis.xrevrange(REQUESTS, count=1)
    groups: Any = await redis.xinfo_groups(REQUESTS)
    return any(
        group["pending"] == 0 and (not newest or group["last-delivered-id"] == newest[0][0])
        for group in groups
        if group["name"] == GROUP.encode()
    )


def _entry(event: RequestEvent, kind: str) -> Entry:
    tokens = Tokens(event.prompt_tokens or 0, event.completion_tokens or 0)
    mark = event.client_request_id or ""
    return Entry(mark, kind, event.request_id, frozenset({str(event.outcome)}), tokens)

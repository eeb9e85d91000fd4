"""The timetable: what is done again and again beside answering questions."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import orjson
from redis.exceptions import RedisError

from weir.events.corridor import CorridorError
from weir.events.heartbeat import read_all
from weir.metrics_api.metrics.dimension import PRODUCTION
from weir.metrics_api.reports.snapshot import complete_snapshots
from weir.metrics_api.storage.port import Gauges, Level, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from prometheus_client import Counter, Gauge
    from redis.asyncio import Redis

    from weir.events.heartbeat import Heartbeat
    from weir.events.reader import StreamReader
    from weir.metrics_api.settings import MetricsApiSettings
    from weir.metrics_api.storage.port import Store
    from weir.servicekit.clock import Clock
    from weir.servicekit.tasks import BackgroundTasks

logger = logging.getLogger(__name__)

BUCKET: Final = 5
INGEST_LAG_SECONDS: Final = 1.0
"""A bucket counts as complete so long after its end."""
FEW_NAMES: Final = 10_000
"""So many strings may stay for ever; they take a few MB."""
ALARM_AT: Final = 0.8
"""Of the cap of a stream."""
ROWS_AT_ONCE: Final = 5_000
"""Rows deleted in one transaction: ingest waits no longer than for a batch of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """`period` and `offset` in seconds: due when the wall clock is `offset` past a multiple of the period."""

    name: str
    period: float
    work: Callable[[], Awaitable[None]]
    offset: float = 0.0


class Fullness(Protocol):
    """Where it is noted how full the streams are."""

    backlog: Gauge
    lost: Counter
    stream_trouble: str | None


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the jobs work on."""

    settings: MetricsApiSettings
    store: Store
    redis: Redis
    readers: Sequence[StreamReader]
    clock: Clock
    scrape: Callable[[], Awaitable[None]]
    progress: Fullness
    reconcile: Callable[[], Awaitable[None]]

    def timetable(self) -> list[Job]:
        return [
            Job("sample heartbeats", BUCKET, self.sample),
            Job("publish snapshots", BUCKET, self.publish_snapshots, offset=INGEST_LAG_SECONDS),
            Job("scrape targets", self.settings.scrape_interval, self.scrape),
            Job("trim the stream", 10, self.trim),
            Job("reconcile", BUCKET, self.reconcile, offset=2),
            Job("delete old data", 60, self.expire, offset=17),
            Job("delete old requests", 60, self.expire_requests, offset=37),
            Job("forget unused names", 86_400, self.forget_names, offset=11_820),
            Job("tidy the database", 300, self.store.tidy, offset=43),
        ]

    def start(self, tasks: BackgroundTasks) -> None:
        for job in self.timetable():
            tasks.start(job.name, self._repeat(job))

    async def sample(self) -> None:
        """Note what the proxies report of themselves in the snapshots of this moment."""
        gauges = gauges_of(await read_all(self.redis))
        if gauges:
            await self.store.sample(self._now(), gauges)

    async def publish_snapshots(self) -> None:
        """Tell listeners how the bucket before this one was. Another API doing the same is harmless."""
        now = self._now()
        found = await complete_snapshots(self.store, now - now % BUCKET - BUCKET)
        messages = [{"type": "metrics", "data": msgspec.structs.asdict(snapshot)} for snapshot in found]
        await self.readers[0].publish([orjson.dumps(message) for message in messages])

    async def trim(self) -> None:
        """Drop what all have read; remember up to where we have, for a group that is lost."""
        backlog = 0
        for reader in self.readers:
            settled = await reader.trim()
            if settled is not None and settled != await self.store.settled_to(reader.stream):
                await self.store.note_settled(reader.stream, settled)
            backlog += await self._cap(reader, await reader.length())
        self.progress.backlog.set(backlog)

    async def _cap(self, reader: StreamReader, length: int) -> int:
        """The last resort against a stream that nobody keeps up with; how many entries are left.

        It is said before it comes to that, and what it takes is counted.
        """
        most, progress = self.settings.stream_max_entries, self.progress
        if not most or length < most * ALARM_AT:
            progress.stream_trouble = None
            return length
        if progress.stream_trouble is None:
            logger.error(
                "a stream nears its cap, at which its oldest entries are deleted, stored or not",
                extra={"stream": reader.stream, "entries": length, "cap": most},
            )
        progress.stream_trouble = f"the stream holds {length} entries of at most {most}"
        cut = await reader.cap(most)
        if cut:
            progress.lost.inc(cut)
            logger.error("deleted the oldest entries of a stream at its cap", extra={"entries": cut})
        return length - cut

    async def expire(self) -> None:
        """Delete buckets whose time is over, a few rows at a time."""
        keep: tuple[tuple[Level, float], ...] = (
            ("5s", self.settings.retention_5s),
            ("1m", self.settings.retention_1m),
        )
        for level, seconds in keep:
            deleted = ROWS_AT_ONCE
            while deleted == ROWS_AT_ONCE:
                deleted = await self.store.expire(level, int(self._now() - seconds), at_most=ROWS_AT_ONCE)

    async def expire_requests(self) -> None:
        """Delete single requests whose time is over, a few at a time; what they add up to stays."""
        if not self.settings.retention_requests:
            return
        before = int((self._now() - self.settings.retention_requests) * 1000)
        while await self.store.expire_requests(before, at_most=ROWS_AT_ONCE) == ROWS_AT_ONCE:
            pass

    async def forget_names(self) -> None:
        """Strings that clients choose freely would else outlive their requests and fill the database."""
        await self.store.forget_names(few=FEW_NAMES)

    def _now(self) -> int:
        return self.clock.now_us() // 1_000_000

    async def _repeat(self, job: Job) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._until_due(job))
            try:
                await job.work()
            except (RedisError, CorridorError, OSError, TimeoutError, StorageError) as error:
                if not failing:
                    logger.warning("job failed, trying again", extra={"job": job.name, "reason": str(error)})
                failing = True
            except Exception:
                if not failing:
                    logger.exception("job failed, trying again", extra={"job": job.name})
                failing = True
            else:
                failing = False

    def _until_due(self, job: Job) -> float:
        now = self.clock.now_us() / 1_000_000
        return job.period - (now - job.offset) % job.period


def gauges_of(heartbeats: Sequence[Heartbeat]) -> dict[str, Gauges]:
    """Requests in flight per variant over all proxies, against the limit of all of them."""
    limit = sum(beat.max_in_flight for beat in heartbeats)
    in_flight: dict[str, int] = {PRODUCTION: 0} if heartbeats else {}
    for beat in heartbeats:
        for variant, load in beat.variants.items():
            in_flight[variant] = in_flight.get(variant, 0) + load.in_flight
    return {variant: Gauges(count, limit) for variant, count in in_flight.items()}

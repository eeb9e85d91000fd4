"""The consumer: takes entries from the stream and lets go of each only when its fate is certain.

Order of every batch: commit to the database, publish to the live stream, acknowledge. A crash between any
two of them repeats what follows; the database knows what it has, and listeners drop what they have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from weir.events.reader import BATCH, CLAIM_AFTER_SECONDS, DeadLetter, Entry, StreamReader, is_missing_group
from weir.metrics_api.ingest.acceptance import LARGEST_ENTRY, UnacceptableEntryError, accept
from weir.metrics_api.ingest.backoff import Backoff
from weir.metrics_api.ingest.live_messages import messages
from weir.metrics_api.storage.port import StorageError, UnstorableRecordError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.ingest.progress import Progress
    from weir.metrics_api.storage.port import RequestStore

logger = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.05
"""Pause between reads that come back small: it makes batches of a steady trickle and at most 20 live
messages a second, and costs half of it in freshness."""
READ_AHEAD: Final = 5
"""Batches read while one is being stored."""
CLAIM_EVERY_SECONDS: Final = CLAIM_AFTER_SECONDS / 3
REDIS_ERRORS: Final = (RedisError, OSError, TimeoutError)


class Consumer:
    """Reads ahead while what was read before is being stored."""

    def __init__(self, reader: StreamReader, store: RequestStore, progress: Progress) -> None:
        self._reader = reader
        self._store = store
        self._progress = progress
        self._batches: asyncio.Queue[list[Entry]] = asyncio.Queue(maxsize=READ_AHEAD)
        self._next_claim = time.monotonic() + CLAIM_EVERY_SECONDS
        self._said = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(), name="ingest-read")
            group.create_task(self._store_batches(), name="ingest-store")

    async def _read(self) -> None:
        """What this consumer left unfinished first, then new entries; again from there after any failure."""
        while True:
            await self._batches.join()
            await self._insist("group", self._reader.ensure_group)
            try:
                await self._read_pending()
                while True:
                    await self._read_new()
            except REDIS_ERRORS as error:
                if not is_missing_group(error):
                    self._redis_failed("read", error)
                    await asyncio.sleep(GATHER_SECONDS)

    async def _read_pending(self) -> None:
        after = b"0"
        while entries := await self._reader.own_pending(after):
            after = entries[-1].id
            await self._hand_over(entries)

    async def _read_new(self) -> None:
        entries = await self._reader.next()
        self._redis_works()
        if entries:
            await self._hand_over(entries)
        if time.monotonic() >= self._next_claim:
            self._next_claim = time.monotonic() + CLAIM_EVERY_SECONDS
            await self._take_over()
        if 0 < len(entries) < BATCH:
            await asyncio.sleep(GATHER_SECONDS)

    async def _take_over(self) -> None:
        """Entries of consumers that died. Not while our own batch is unfinished: it might be among them."""
        await self._batches.join()
        start = b"0-0"
        while True:
            start, entries = await self._reader.claim(start)
            if entries:
                logger.info("taking over entries of another consumer", extra={"entries": len(entries)})
                await self._hand_over(entries)
            if start == b"0-0":
                return

    async def _hand_over(self, entries: list[Entry]) -> None:
        await self._batches.put(entries)

    async def _store_batches(self) -> None:
        """All that has been read ahead goes into one transaction: the more is behind, the cheaper it is."""
        while True:
            batches = [await self._batches.get()]
            while not self._batches.empty():
                batches.append(self._batches.get_nowait())
            try:
                await self._settle([entry for batch in batches for entry in batch])
            finally:
                for _ in batches:
                    self._batches.task_done()

    async def _settle(self, entries: Sequence[Entry]) -> None:
        """Store, publish and acknowledge; put aside what cannot be stored."""
        events: list[RequestEvent] = []
        good: list[Entry] = []
        dead: list[DeadLetter] = []
        for entry in entries:
            try:
                events.append(accept(entry.data))
                good.append(entry)
            except UnacceptableEntryError as error:
                dead.append(DeadLetter(entry, str(error)))
        if dead:
            await self._bury(dead)
        if events:
            await self._store_and_acknowledge(good, events)

    async def _store_and_acknowledge(self, entries: Sequence[Entry], events: Sequence[RequestEvent]) -> None:
        """Halve a batch that the database refuses until the record that it refuses is alone."""
        try:
            new = await self._add(events)
        except UnstorableRecordError as error:
            if len(events) == 1:
                await self._bury([DeadLetter(entries[0], f"the database refuses it: {error}")])
                return
            half = len(events) // 2
            await self._store_and_acknowledge(entries[:half], events[:half])
            await self._store_and_acknowledge(entries[half:], events[half:])
            return
        self._progress.stored.inc(len(new))
        self._progress.repeated.inc(len(events) - len(new))
        live = messages(events)
        await self._insist("acknowledge", lambda: self._reader.finish(entries, live))

    async def _bury(self, dead: Sequence[DeadLetter]) -> None:
        await self._insist("dead letters", lambda: self._reader.bury(dead, LARGEST_ENTRY))
        self._progress.dead.inc(len(dead))
        logger.warning(
            "entries put aside as dead letters",
            extra={"entries": len(dead), "first": dead[0].entry.id.decode(), "reason": dead[0].reason},
        )

    async def _add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]:
        """Store the batch, however long the database is in trouble: nothing is acknowledged before."""
        backoff = Backoff()
        while True:
            try:
                with self._progress.batch.time():
                    new = await self._store.add(events)
            except StorageError as error:
                self._progress.failures.labels("database").inc()
                if self._progress.database_trouble is None:
                    logger.error("cannot store records, trying again", extra={"reason": str(error)})  # noqa: TRY400 - the trace says nothing more
                self._progress.database_trouble = str(error)
                await asyncio.sleep(backoff.pause())
            else:
                if self._progress.database_trouble is not None:
                    self._progress.database_trouble = None
                    logger.info("records are stored again")
                return new

    async def _insist(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it until it works."""
        backoff = Backoff()
        while True:
            try:
                await work()
            except REDIS_ERRORS as error:
                if is_missing_group(error) and what != "group":
                    return  # nothing to acknowledge any more; the reader makes a new group
                self._redis_failed(what, error)
                await asyncio.sleep(backoff.pause())
            else:
                self._redis_works()
                return

    def _redis_failed(self, what: str, error: Exception) -> None:
        self._progress.failures.labels("redis").inc()
        if not self._said:
            self._said = True
            logger.warning("Redis is away, trying again", extra={"doing": what, "reason": str(error)})
        self._progress.redis_trouble = f"{type(error).__name__}: {error}"

    def _redis_works(self) -> None:
        self._said = False
        if self._progress.redis_trouble is not None:
            self._progress.redis_trouble = None
            logger.info("connected to Redis")

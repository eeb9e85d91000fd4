"""The consumer: takes entries from the streams and lets go of each only when its fate is certain.

Order of every batch: commit to the database, publish to the live stream, acknowledge. A crash between any
two of them repeats what follows; the database knows what it has, and listeners drop what they have.
"""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from redis.exceptions import OutOfMemoryError, RedisError

from weir.events.dead_letters import DeadLetter
from weir.events.reader import (
    CLAIM_AFTER_SECONDS,
    MOST,
    BatchSize,
    Entry,
    StreamReader,
    is_missing_group,
)
from weir.metrics_api.ingest.acceptance import UnacceptableEntryError, accept, whose
from weir.metrics_api.ingest.backoff import Backoff
from weir.metrics_api.ingest.live_messages import messages
from weir.metrics_api.storage.port import StorageError, UnstorableRecordError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from weir.events import RequestEvent
    from weir.events.stream import StreamId
    from weir.metrics_api.ingest.progress import Progress

logger = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.05
"""Pause between reads that come back small: it makes batches of a steady trickle and at most 20 live
messages a second, and costs half of it in freshness."""
READ_AHEAD: Final = 7
"""Batches read and decoded while others are being stored, which are then stored in one transaction."""
CLAIM_EVERY_SECONDS: Final = CLAIM_AFTER_SECONDS / 3
SUSPECT_AFTER: Final = 3
"""Deliveries after which entries that were never acknowledged may hold what ended the process."""
GIVE_UP_AFTER: Final = 20
"""Deliveries after which the one among them is not even tried again."""
REDIS_ERRORS: Final = (RedisError, OSError, TimeoutError)


class Store(Protocol):
    """What the consumer needs of the database."""

    async def add(self, events: Sequence[RequestEvent]) -> list[RequestEvent]: ...

    async def settled_to(self, stream: str) -> StreamId | None: ...


class Lane:
    """One stream on its way: who reads it, and how much of it has been read and is not settled."""

    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self.size = BatchSize()
        self.next_claim = time.monotonic() + CLAIM_EVERY_SECONDS
        self._unsettled = 0
        self._is_settled = asyncio.Event()
        self._is_settled.set()

    def took(self) -> None:
        self._unsettled += 1
        self._is_settled.clear()

    def settled(self) -> None:
        self._unsettled -= 1
        if not self._unsettled:
            self._is_settled.set()

    async def all_settled(self) -> None:
        """Wait until nothing of this stream is under way here."""
        await self._is_settled.wait()


class Batch(NamedTuple):
    """Entries that were read at a time."""

    lane: Lane
    entries: list[Entry]
    """Those that can become rows."""
    events: list[RequestEvent]
    """The records in them."""
    dead: list[DeadLetter]
    gone: list[Entry]

    @classmethod
    def of(cls, lane: Lane, read: Iterable[Entry]) -> Self:
        batch = cls(lane, [], [], [], [])
        for entry in read:
            if entry.gone:
                batch.gone.append(entry)
                continue
            try:
                event = accept(entry.data)
            except UnacceptableEntryError as error:
                batch.dead.append(_letter(entry, str(error)))
            else:
                batch.entries.append(entry)
                batch.events.append(event)
        return batch

    def part(self, which: slice) -> Self:
        """Some of what can become rows."""
        return self._replace(entries=self.entries[which], events=self.events[which], dead=[], gone=[])


class Consumer:
    """Reads ahead while what was read before is being stored."""

    def __init__(self, readers: Sequence[StreamReader], store: Store, progress: Progress) -> None:
        self._readers = readers
        self._store = store
        self._progress = progress
        self._batches: asyncio.Queue[Batch] = asyncio.Queue(maxsize=READ_AHEAD)
        self._said = False

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reader in self._readers:
                group.create_task(self._read(Lane(reader)), name=f"ingest-read {reader.stream}")
            group.create_task(self._store_batches(), name="ingest-store")

    async def _read(self, lane: Lane) -> None:
        """What this consumer left unfinished first, then new entries; again from there after any failure."""
        while True:
            await lane.all_settled()
            await self._insist("group", lambda: self._ensure_group(lane.reader))
            try:
                await self._read_pending(lane)
                while True:
                    await self._read_new(lane)
            except REDIS_ERRORS as error:
                if not is_missing_group(error):
                    self._redis_failed("read", error)
                    await asyncio.sleep(GATHER_SECONDS)

    async def _ensure_group(self, reader: StreamReader) -> None:
        """A group that was lost begins where everything before is stored; the database remembers that."""
        try:
            settled = await self._store.settled_to(reader.stream)
        except StorageError:
            settled = None  # from the beginning: what is stored already is recognised
        if await reader.ensure_group(settled):
            after = "the beginning" if settled is None else str(settled)
            logger.info("made the consumer group", extra={"stream": reader.stream, "after": after})
        await reader.join()

    async def _read_pending(self, lane: Lane) -> None:
        """Entries that were delivered before. The more often, the fewer are tried together, until the one
        that ends the process each time is alone; that one is given up in the end.
        """
        after = b"0"
        while counts := await lane.reader.deliveries(after, lane.size.entries):
            worst = max(counts.values())
            together = max(1, lane.size.entries >> 2 * max(0, worst - SUSPECT_AFTER + 1))
            entries = await lane.reader.own_pending(after, together)
            if not entries:
                return
            after = entries[-1].id
            if together == len(entries) == 1 and counts.get(after, 0) >= GIVE_UP_AFTER:
                reason = f"delivered {worst} times and never stored: it may be what ends the metrics API"
                await self._bury(lane, [_letter(entries[0], reason)])
                continue
            await self._hand_over(lane, entries)
            if worst >= SUSPECT_AFTER:
                await lane.all_settled()

    async def _read_new(self, lane: Lane) -> None:
        asked = lane.size.entries
        entries = await lane.reader.next(asked)
        self._redis_works()
        lane.size.after(entries)
        await self._hand_over(lane, entries)
        if time.monotonic() >= lane.next_claim:
            lane.next_claim = time.monotonic() + CLAIM_EVERY_SECONDS
            await self._take_over(lane)
        if 0 < len(entries) < min(asked, MOST):
            await asyncio.sleep(GATHER_SECONDS)

    async def _take_over(self, lane: Lane) -> None:
        """Entries of consumers that died. Not while our own are unfinished: they might be among them."""
        await lane.all_settled()
        if claimed := await lane.reader.claim():
            logger.info("taking over entries of another consumer", extra={"entries": claimed})
            await self._read_pending(lane)

    async def _hand_over(self, lane: Lane, entries: list[Entry]) -> None:
        _obey_cancellation()
        if entries:
            lane.took()
            await self._batches.put(Batch.of(lane, entries))

    async def _store_batches(self) -> None:
        """All that has been read ahead goes into one transaction: the more is behind, the cheaper it is."""
        while True:
            batches = [await self._batches.get()]
            while not self._batches.empty():
                batches.append(self._batches.get_nowait())
            await self._settle(batches)
            for batch in batches:
                batch.lane.settled()

    async def _settle(self, batches: Sequence[Batch]) -> None:
        """Store, publish and acknowledge; put aside what cannot be stored."""
        if good := [batch for batch in batches if batch.entries]:
            await self._store_and_acknowledge(good)
        for batch in batches:
            if batch.gone:
                await self._let_go(batch.lane, batch.gone)
        for batch in batches:  # last: a Redis that is full takes no letter
            if batch.dead:
                await self._bury(batch.lane, batch.dead)

    async def _store_and_acknowledge(self, good: Sequence[Batch]) -> None:
        """Halve what the database refuses until the record that it refuses is alone."""
        events = [*chain.from_iterable(batch.events for batch in good)]
        try:
            new = await self._add(events)
        except UnstorableRecordError as error:
            first = good[0]
            if len(events) == 1:
                await self._bury(first.lane, [_letter(first.entries[0], f"the database refuses it: {error}")])
                return
            if len(good) == 1:
                half = len(events) // 2
                good = [first.part(slice(half)), first.part(slice(half, None))]
            half = len(good) // 2
            await self._store_and_acknowledge(good[:half])
            await self._store_and_acknowledge(good[half:])
            return
        self._progress.stored.inc(len(new))
        self._progress.repeated.inc(len(events) - len(new))
        live = messages(events)
        await self._insist("publish", lambda: self._publish(good[0].lane.reader, live))
        for batch in good:
            await self._acknowledge(batch.lane, batch.entries)

    async def _publish(self, reader: StreamReader, live: Sequence[bytes]) -> None:
        """A Redis that is full takes no messages. Listeners do without: acknowledging is what makes room."""
        try:
            await reader.publish(live)
        except OutOfMemoryError:
            self._progress.failures.labels("live").inc()

    async def _acknowledge(self, lane: Lane, entries: Sequence[Entry]) -> None:
        await self._insist("acknowledge", lambda: lane.reader.finish(entries))

    async def _let_go(self, lane: Lane, gone: Sequence[Entry]) -> None:
        """Somebody deleted entries before they were acknowledged. The reconciliation tells if any is lost."""
        await self._acknowledge(lane, gone)
        self._progress.lost.inc(len(gone))
        logger.error(
            "entries were deleted from the stream before they were acknowledged; does anybody trim it?",
            extra={"entries": len(gone), "first": gone[0].id.decode(), "stream": lane.reader.stream},
        )

    async def _bury(self, lane: Lane, dead: Sequence[DeadLetter]) -> None:
        await self._insist("dead letters", lambda: lane.reader.bury(dead))
        self._progress.dead.inc(len(dead))
        logger.warning(
            "entries put aside as dead letters",
            extra={"entries": len(dead), "first": dead[0].entry_id.decode(), "reason": dead[0].reason},
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
        _obey_cancellation()
        self._progress.failures.labels("redis").inc()
        if not self._said:
            self._said = True
            logger.warning("Redis is away, trying again", extra={"doing": what, "reason": str(error)})
        self._progress.redis_trouble = f"{type(error).__name__}: {error}"

    def _redis_works(self) -> None:
        _obey_cancellation()
        self._said = False
        if self._progress.redis_trouble is not None:
            self._progress.redis_trouble = None
            logger.info("connected to Redis")


def _obey_cancellation() -> None:
    """A client of Redis can swallow a cancellation: asyncio.wait_for does before Python 3.12, when what it
    waits for is done in the same moment. The task would go on for ever.
    """
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError


def _letter(entry: Entry, reason: str) -> DeadLetter:
    return DeadLetter(entry.id, entry.data, reason, whose(entry.data))

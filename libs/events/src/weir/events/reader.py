"""The reading side of a stream: a member of the consumer group that the metrics APIs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from redis.exceptions import ResponseError

from weir.events.dead_letters import DeadLetter, bury
from weir.events.redis_url import ask, connect
from weir.events.stream import FIELD, GROUP, LIVE, REQUESTS, StreamId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

FEWEST: Final = 100
MOST: Final = 2000
"""Entries read at a time: few while they trickle in, more with each full batch."""
BATCH_BYTES: Final = 4 << 20
"""What a batch may hold; where entries are large, fewer of them are read."""
BLOCK_SECONDS: Final = 2.0
CLAIM_AFTER_SECONDS: Final = 15.0
"""Entries of a consumer that has not acknowledged them for so long are taken over."""
LIVE_KEPT: Final = 2_000
"""How many live messages can be resumed from, roughly."""
TRIM_AT_ONCE: Final = 100_000
"""Entries trimmed in one command: Redis does nothing else meanwhile."""
_TIMEOUT_SECONDS: Final = 5.0
_FIELD: Final = FIELD.encode()
_ONE_PAIR: Final = 2
_END: Final = b"0-0"
_AFTER_ALL: Final = b"18446744073709551615-0"


class Entry(NamedTuple):
    """One entry of the stream: its id and the bytes of its field, None where it has no such field."""

    id: bytes
    data: bytes | None
    gone: bool = False
    """It was deleted from the stream after it had been delivered."""


class BatchSize:
    """How many entries to read next."""

    def __init__(self) -> None:
        self.entries = FEWEST

    def after(self, batch: Sequence[Entry]) -> None:
        """Twice as many after a full batch, half as many after one that was far from full."""
        size = sum(len(entry.data or b"") for entry in batch)
        if size > BATCH_BYTES:
            self.entries = max(1, self.entries * BATCH_BYTES // size)
        elif len(batch) >= self.entries:
            self.entries = min(MOST, self.entries * 2)
        elif len(batch) < self.entries // 4:
            self.entries = max(FEWEST, self.entries // 2)


def client(url: str, *, block: float = 0.0) -> Redis:
    """A client whose errors are its caller's business: nothing is sent twice behind one's back.

    `block`: seconds that a command may wait on the server.
    """
    return connect(url, connect_timeout=_TIMEOUT_SECONDS, timeout=_TIMEOUT_SECONDS + block)


def is_missing_group(error: Exception) -> bool:
    """Whether Redis has lost the group or the stream (FLUSHALL, a new server)."""
    return isinstance(error, ResponseError) and str(error).startswith(("NOGROUP", "UNBLOCKED"))


class StreamReader:
    """Reads one stream as `consumer`. `blocking` is a client of its own: waiting keeps a connection."""

    def __init__(self, redis: Redis, blocking: Redis, consumer: str, stream: str = REQUESTS) -> None:
        self._redis = redis
        self._blocking = blocking
        self._consumer = consumer
        self.stream = stream

    async def ensure_group(self, settled: StreamId | None) -> bool:
        """Create stream and group where they are missing; whether they were.

        A new group begins after `settled`, up to which all is stored; at the stream's beginning where that is
        not known, or where the stream has not come so far: then it is another one than it was.
        """
        if any(group["name"] == GROUP.encode() for group in await self._groups()):
            return False  # asked first, because a Redis that is full refuses to make what is there already
        start = settled if settled is not None and settled <= await self._last_id() else "0"
        try:
            await self._redis.xgroup_create(self.stream, GROUP, id=str(start), mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
            return False
        return True

    async def join(self) -> None:
        """Let the group know this consumer, which otherwise takes until it is given its first entry."""
        await self._read(_AFTER_ALL, 1, block=None)

    async def own_pending(self, after: bytes = b"0", count: int = MOST) -> list[Entry]:
        """Entries that were delivered to this consumer before and not acknowledged, oldest first.

        It counts as another delivery of each.
        """
        return await self._read(after, count, block=None)

    async def next(self, count: int = MOST) -> list[Entry]:
        """New entries; none when nothing came within `BLOCK_SECONDS`."""
        return await self._read(b">", count, block=round(BLOCK_SECONDS * 1000))

    async def deliveries(self, after: bytes, count: int) -> dict[bytes, int]:
        """How often each of the next of this consumer's pending entries was delivered until now."""
        found = cast(
            "list[Any]",
            await self._ask(
                self._redis, b"XPENDING", self.stream, GROUP, b"(" + after, "+", count, self._consumer
            ),
        )
        return {row[0]: row[3] for row in found}

    async def claim(self) -> int:
        """Make what has been pending for long with any consumer one's own; how many entries."""
        start, claimed = _END, 0
        while True:
            answer = cast(
                "list[Any]",
                await self._ask(
                    self._redis,
                    *(b"XAUTOCLAIM", self.stream, GROUP, self._consumer, round(CLAIM_AFTER_SECONDS * 1000)),
                    *(start, "COUNT", MOST, "JUSTID"),
                ),
            )
            start, claimed = answer[0], claimed + len(answer[1])
            if start == _END:
                return claimed

    async def finish(self, entries: Sequence[Entry]) -> None:
        """Acknowledge entries."""
        if entries:
            await self._redis.xack(self.stream, GROUP, *(entry.id for entry in entries))

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Put entries with their reasons aside, and acknowledge them: each once, even when repeated."""
        await bury(self._redis, self.stream, letters)

    async def publish(self, live: Sequence[bytes]) -> None:
        """Publish messages to the live stream."""
        for message in live:
            await self._redis.xadd(LIVE, {FIELD: message}, maxlen=LIVE_KEPT, approximate=True)

    async def trim(self) -> StreamId | None:
        """Drop from the stream what every group has read and acknowledged; up to where our own group has.

        Nothing while our own group is lost, whatever others have read: it begins again where all is stored.
        """
        groups = await self._groups()
        needed = {group["name"]: await self._needed_from(group) for group in groups}
        own = needed.get(GROUP.encode())
        if own is None:
            return None
        oldest = str(min(needed.values()))
        while await self._redis.xtrim(self.stream, minid=oldest, approximate=True, limit=TRIM_AT_ONCE):
            continue
        await self._redis.xtrim(self.stream, minid=oldest, approximate=False)
        return own.before

    async def cap(self, most: int) -> int:
        """Drop the oldest entries beyond `most`, read or not; how many."""
        dropped = 0
        while await self.length() > most:
            cut = await self._redis.xtrim(
                self.stream, maxlen=most, approximate=True, limit=TRIM_AT_ONCE
            ) or await self._redis.xtrim(self.stream, maxlen=most, approximate=False)
            dropped += cut
        return dropped

    async def length(self) -> int:
        """Entries in the stream, those included that are stored and not trimmed yet."""
        return await self._redis.xlen(self.stream)

    async def _groups(self) -> list[dict[str, Any]]:
        try:
            return await self._redis.xinfo_groups(self.stream)
        except ResponseError:  # there is no stream before the first request
            return []

    async def _last_id(self) -> StreamId:
        try:
            return StreamId.of((await self._redis.xinfo_stream(self.stream))["last-generated-id"])
        except ResponseError:
            return StreamId(0, 0)

    async def _needed_from(self, group: dict[str, Any]) -> StreamId:
        """The first id that this group still needs."""
        if group["pending"]:
            pending = await self._redis.xpending(self.stream, group["name"])
            if pending.get("min"):
                return StreamId.of(pending["min"])
        return StreamId.of(group["last-delivered-id"]).next

    async def _read(self, after: bytes, count: int, block: int | None) -> list[Entry]:
        command: list[bytes | str | int] = [b"XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count]
        if block is not None:
            command += ["BLOCK", block]
        command += ["STREAMS", self.stream, after]
        answer = cast("list[Any] | None", await self._ask(self._blocking, *command))
        return [_entry(raw) for raw in answer[0][1]] if answer else []

    async def _ask(self, redis: Redis, *command: bytes | str | int) -> Any:
        return await ask(redis, self.stream, *command)


def _entry(raw: Any) -> Entry:
    """An entry that was trimmed while it was pending has no fields any more."""
    identifier, fields = raw
    if not fields:
        return Entry(identifier, None, gone=True)
    if len(fields) == _ONE_PAIR and fields[0] == _FIELD:
        return Entry(identifier, fields[1])
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(identifier, pairs.get(_FIELD))

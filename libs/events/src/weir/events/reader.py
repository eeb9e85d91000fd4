"""The reading side of the stream: a member of the consumer group that the metrics APIs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from weir.events.stream import DEAD, FIELD, GROUP, LIVE, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH: Final = 1000
"""Entries read at a time."""
BLOCK_SECONDS: Final = 2.0
CLAIM_AFTER_SECONDS: Final = 30.0
"""Entries of a consumer that has not acknowledged them for so long are taken over."""
DEAD_KEPT: Final = 10_000
"""How many dead letters the stream keeps, roughly."""
LIVE_KEPT: Final = 2_000
"""How many live messages can be resumed from, roughly."""
_TIMEOUT_SECONDS: Final = 5.0
_FIELD: Final = FIELD.encode()
_ONE_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream: its id and the bytes of its field, None where there are none."""

    id: bytes
    data: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that cannot be used, and why."""

    entry: Entry
    reason: str


def client(url: str, *, block: float = 0.0) -> Redis:
    """A client whose errors are its caller's business: nothing is sent twice behind one's back.

    `block`: seconds that a command may wait on the server.
    """
    return Redis.from_url(
        url,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS + block,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


def is_missing_group(error: Exception) -> bool:
    """Whether Redis has lost the group or the stream (FLUSHALL, a new server)."""
    return isinstance(error, ResponseError) and str(error).startswith(("NOGROUP", "UNBLOCKED"))


class StreamReader:
    """Reads as `consumer`. `blocking` is a client of its own, because a waiting read keeps its connection."""

    def __init__(self, redis: Redis, blocking: Redis, consumer: str) -> None:
        self._redis = redis
        self._blocking = blocking
        self._consumer = consumer

    async def ensure_group(self) -> None:
        """Create stream and group where they are missing; the group starts at the stream's beginning."""
        try:
            await self._redis.xgroup_create(REQUESTS, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def own_pending(self, after: bytes = b"0") -> list[Entry]:
        """Entries that were delivered to this consumer before and not acknowledged, oldest first."""
        return await self._read(after, block=None)

    async def next(self) -> list[Entry]:
        """New entries; none when nothing came within `BLOCK_SECONDS`."""
        return await self._read(b">", block=round(BLOCK_SECONDS * 1000))

    async def claim(self, start: bytes = b"0-0") -> tuple[bytes, list[Entry]]:
        """Take over what has been pending for long: where to go on (`0-0` at the end) and the entries."""
        answer = cast(
            "list[Any]",
            await self._redis.execute_command(
                b"XAUTOCLAIM",
                REQUESTS,
                GROUP,
                self._consumer,
                round(CLAIM_AFTER_SECONDS * 1000),
                start,
                "COUNT",
                BATCH,
            ),
        )
        return answer[0], [_entry(raw) for raw in answer[1] if raw is not None and raw[0] is not None]

    async def finish(self, entries: Sequence[Entry], live: Sequence[bytes] = ()) -> None:
        """Publish live messages, then acknowledge: in this order, in one round trip, both or neither."""
        async with self._redis.pipeline(transaction=True) as pipe:
            for message in live:
                pipe.xadd(LIVE, {FIELD: message}, maxlen=LIVE_KEPT, approximate=True)
            if entries:
                pipe.xack(REQUESTS, GROUP, *(entry.id for entry in entries))
            await pipe.execute()

    async def bury(self, letters: Sequence[DeadLetter], longest: int) -> None:
        """Put entries with their reasons aside, at most `longest` bytes of each, and acknowledge them."""
        async with self._redis.pipeline(transaction=True) as pipe:
            for letter in letters:
                data = (letter.entry.data or b"")[:longest]
                pipe.xadd(
                    DEAD,
                    {FIELD: data, "id": letter.entry.id, "reason": letter.reason},
                    maxlen=DEAD_KEPT,
                    approximate=True,
                )
            pipe.xack(REQUESTS, GROUP, *(letter.entry.id for letter in letters))
            await pipe.execute()

    async def publish(self, live: Sequence[bytes]) -> None:
        """Publish live messages that belong to no entry."""
        await self.finish((), live)

    async def trim(self) -> int:
        """Drop from the stream what every group has read and acknowledged; how many entries."""
        groups = await self._redis.xinfo_groups(REQUESTS)
        bounds = [await self._unread_from(group) for group in groups]
        if not bounds:
            return 0
        oldest = min(bounds)
        return await self._redis.xtrim(REQUESTS, minid=f"{oldest[0]}-{oldest[1]}")

    async def backlog(self) -> int:
        """Entries in the stream that are not stored yet, at most; trimmed ones do not count."""
        return await self._redis.xlen(REQUESTS)

    async def _unread_from(self, group: dict[str, Any]) -> tuple[int, int]:
        """The first id that this group still needs."""
        if group["pending"]:
            pending = await self._redis.xpending(REQUESTS, group["name"])
            if pending.get("min"):
                return _id(pending["min"])
        ms, number = _id(group["last-delivered-id"])
        return ms, number + 1

    async def _read(self, after: bytes, block: int | None) -> list[Entry]:
        # The name as bytes keeps redis-py from parsing: making a dictionary of each entry would cost as
        # much as decoding its record does.
        command: list[bytes | str | int] = [b"XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", BATCH]
        if block is not None:
            command += ["BLOCK", block]
        answer = cast(
            "list[Any] | None", await self._blocking.execute_command(*command, "STREAMS", REQUESTS, after)
        )
        return [_entry(raw) for raw in answer[0][1]] if answer else []


def _entry(raw: Any) -> Entry:
    """An entry that was trimmed while it was pending has no fields any more."""
    identifier, fields = raw
    if not fields:
        return Entry(identifier, None)
    if len(fields) == _ONE_PAIR and fields[0] == _FIELD:
        return Entry(identifier, fields[1])
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(identifier, pairs.get(_FIELD))


def _id(identifier: bytes | str) -> tuple[int, int]:
    text = identifier.decode() if isinstance(identifier, bytes) else identifier
    ms, _, number = text.partition("-")
    return int(ms), int(number or 0)

"""How things stand between the services: which proxies report, and how far reading is behind writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from redis.exceptions import RedisError, ResponseError

from weir.events.accounts import forget, read_accounts
from weir.events.heartbeat import read_all
from weir.events.stream import DEAD, DEAD_COUNTS, GROUP, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from redis.asyncio import Redis

    from weir.events.accounts import Account
    from weir.events.heartbeat import Heartbeat

_MICRO = 1_000_000
COUNTED_BY_HAND: Final = 500
"""Entries looked at to count them where Redis does not."""
T = TypeVar("T")


class CorridorError(Exception):
    """Redis does not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream of finished requests, seen from its consumer group."""

    entries: int
    """Entries that the stream holds, read ones that are not trimmed yet included."""
    unread: int | None
    """Entries that no consumer has been given; None where they are too many for a Redis before 7.0."""
    unread_at_least: int
    pending: int
    """Entries given to a consumer and not acknowledged."""
    lag_seconds: float
    """Age of the oldest entry that is not stored, by the clock of Redis; 0 when all are."""
    consumers: int
    dead_letters: int

    @property
    def waiting_at_most(self) -> int:
        """Entries that are not acknowledged; more than there are only where Redis cannot count them."""
        return self.entries if self.unread is None else self.unread + self.pending


@dataclass(frozen=True, slots=True)
class Passage:
    """Where records are between the proxies and us.

    A record only ever moves from one of these to the next, and they were read in this order: one that is in
    an account is found in at least one of the others, or has reached the database since.
    """

    accounts: Sequence[Account]
    alive: Mapping[str, int]
    """When each life that reports itself did so last, µs since the epoch."""
    stream: StreamState
    put_aside: Mapping[str, int]
    """Dead letters of each life, those that were dropped since included."""


class Corridor:
    """Asks Redis, on a client that may be shared."""

    def __init__(self, redis: Redis, streams: Sequence[str] = (REQUESTS,)) -> None:
        self._redis = redis
        self._streams = streams

    async def proxies(self) -> Sequence[Heartbeat]:
        """What every proxy of the last seconds says of itself, by name.

        Raises:
            CorridorError: Redis is away.
        """
        beats = await _asked(lambda: read_all(self._redis))
        return sorted(beats, key=lambda beat: beat.proxy_id)

    async def stream(self) -> StreamState:
        """Where the stream and its readers are.

        Raises:
            CorridorError: Redis is away.
        """
        return await _asked(self._stream)

    async def passage(self) -> Passage:
        """Where records are. To be followed by a look into the database.

        Raises:
            CorridorError: Redis is away.
        """
        return await _asked(self._passage)

    async def forget(self, accounts: Sequence[Account]) -> None:
        """Remove accounts that are stored elsewhere.

        Raises:
            CorridorError: Redis is away.
        """
        await _asked(lambda: forget(self._redis, accounts))

    async def _passage(self) -> Passage:
        beats = await read_all(self._redis)
        accounts = await read_accounts(self._redis)
        before = await self._put_aside()  # a letter that is replayed meanwhile goes back into the stream
        stream = await self._stream()
        after = await self._put_aside()
        return Passage(
            accounts=accounts,
            alive={f"{beat.proxy_id}/{beat.boot_id}": beat.sent_at for beat in beats},
            stream=stream,
            put_aside={one: max(before.get(one, 0), after.get(one, 0)) for one in {*before, *after}},
        )

    async def _put_aside(self) -> dict[str, int]:
        counts = cast("dict[bytes, bytes]", await self._redis.hgetall(DEAD_COUNTS))
        return {one.decode(errors="replace"): int(count) for one, count in counts.items()}

    async def _stream(self) -> StreamState:
        dead = await self._redis.xlen(DEAD)
        shards = [await self._shard(stream) for stream in self._streams]
        unread = [shard.unread for shard in shards if shard.unread is not None]
        return StreamState(
            entries=sum(shard.entries for shard in shards),
            unread=sum(unread) if len(unread) == len(shards) else None,
            unread_at_least=sum(shard.unread_at_least for shard in shards),
            pending=sum(shard.pending for shard in shards),
            lag_seconds=max(shard.lag_seconds for shard in shards),
            consumers=max(shard.consumers for shard in shards),
            dead_letters=dead,
        )

    async def _shard(self, stream: str) -> StreamState:
        group = await self._group(stream)
        if group is None:
            entries = await self._redis.xlen(stream)
            first = await self._after(stream, b"0-0", 1)
            return StreamState(entries, entries, entries, 0, await self._age(first), 0, 0)
        lag = cast("int | None", group.get("lag"))
        found = 1 if lag is not None else COUNTED_BY_HAND
        waiting = await self._after(stream, group["last-delivered-id"], found)
        unread = lag if waiting and lag is not None else len(waiting)
        oldest = waiting[:1]
        if group["pending"]:
            summary = await self._redis.xpending(stream, GROUP)
            oldest += [summary["min"]] if summary["min"] else []
        return StreamState(
            entries=await self._redis.xlen(stream),
            unread=None if lag is None and unread == COUNTED_BY_HAND else unread,
            unread_at_least=unread,
            pending=group["pending"],
            lag_seconds=await self._age(oldest),
            consumers=group["consumers"],
            dead_letters=0,
        )

    async def _after(self, stream: str, delivered: bytes, at_most: int) -> list[bytes]:
        """Ids of the oldest entries that no consumer has been given."""
        found = cast("list[Any]", await self._redis.xrange(stream, f"({delivered.decode()}", count=at_most))
        return [row[0] for row in found]

    async def _group(self, stream: str) -> dict[str, Any] | None:
        try:
            groups = await self._redis.xinfo_groups(stream)
        except ResponseError:  # there is no stream before the first request
            return None
        return next((group for group in groups if group["name"] == GROUP.encode()), None)

    async def _age(self, entries: Sequence[bytes]) -> float:
        """Seconds since the first of these was written, by the clock of Redis."""
        if not entries:
            return 0.0
        seconds, micros = await self._redis.time()
        return max(0.0, seconds + micros / _MICRO - min(map(_written_ms, entries)) / 1000)


async def _asked(question: Callable[[], Awaitable[T]]) -> T:
    try:
        return await question()
    except (RedisError, OSError, TimeoutError) as error:
        raise CorridorError(str(error) or type(error).__name__) from error


def _written_ms(identifier: bytes) -> int:
    return int(identifier.partition(b"-")[0])

"""How things stand between the services: which proxies report, and how far reading is behind writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError, ResponseError

from weir.events.heartbeat import read_all
from weir.events.stream import DEAD, GROUP, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

    from weir.events.heartbeat import Heartbeat

_MICRO = 1_000_000


class CorridorError(Exception):
    """Redis does not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream of finished requests, seen from its consumer group."""

    entries: int
    """Entries that the stream holds, read ones that are not trimmed yet included."""
    unread: int | None
    """Entries that no consumer has been given; None where Redis (before 7.0) cannot count them."""
    pending: int
    """Entries given to a consumer and not acknowledged."""
    lag_seconds: float
    """Age of the oldest entry that is not stored, by the clock of Redis; 0 when all are."""
    consumers: int
    dead_letters: int


class Corridor:
    """Asks Redis, on a client that may be shared."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def proxies(self) -> Sequence[Heartbeat]:
        """What every proxy of the last seconds says of itself, by name.

        Raises:
            CorridorError: Redis is away.
        """
        try:
            return sorted(await read_all(self._redis), key=lambda beat: beat.proxy_id)
        except (RedisError, OSError, TimeoutError) as error:
            raise CorridorError(str(error) or type(error).__name__) from error

    async def stream(self) -> StreamState:
        """Where the stream and its readers are.

        Raises:
            CorridorError: Redis is away.
        """
        try:
            return await self._stream()
        except (RedisError, OSError, TimeoutError) as error:
            raise CorridorError(str(error) or type(error).__name__) from error

    async def _stream(self) -> StreamState:
        dead = await self._redis.xlen(DEAD)
        group = await self._group()
        if group is None:
            return StreamState(0, 0, 0, 0.0, 0, dead)
        delivered: bytes = group["last-delivered-id"]
        waiting = cast("list[Any]", await self._redis.xrange(REQUESTS, f"({delivered.decode()}", count=1))
        unread = cast("int | None", group.get("lag")) if waiting else 0
        oldest = [waiting[0][0]] if waiting else []
        if group["pending"]:
            summary = await self._redis.xpending(REQUESTS, GROUP)
            oldest += [summary["min"]] if summary["min"] else []
        return StreamState(
            entries=await self._redis.xlen(REQUESTS),
            unread=unread,
            pending=group["pending"],
            lag_seconds=await self._age(min(map(_written_ms, oldest))) if oldest else 0.0,
            consumers=group["consumers"],
            dead_letters=dead,
        )

    async def _group(self) -> dict[str, Any] | None:
        try:
            groups = await self._redis.xinfo_groups(REQUESTS)
        except ResponseError:  # there is no stream before the first request
            return None
        return next((group for group in groups if group["name"] == GROUP.encode()), None)

    async def _age(self, written_ms: int) -> float:
        seconds, micros = await self._redis.time()
        return max(0.0, seconds + micros / _MICRO - written_ms / 1000)


def _written_ms(identifier: bytes) -> int:
    return int(identifier.partition(b"-")[0])

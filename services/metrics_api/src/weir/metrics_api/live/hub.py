"""The hub: one reader of the live stream per process, fanned out to all its listeners."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from redis.exceptions import RedisError

from weir.events.redis_url import ask
from weir.events.stream import FIELD, LIVE
from weir.metrics_api.live.listener import Listener, Message, Wish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

MOST_LISTENERS: Final = 1000
BLOCK_MS: Final = 5000
BATCH: Final = 100
PAUSE_SECONDS: Final = 0.5
START: Final = "0-0"
_content_decoder = msgspec.json.Decoder(dict[str, Any])
_ID: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class TooManyListenersError(Exception):
    """All places are taken."""


class Hub:
    """Reads with `blocking`, a client of its own; looks back with `redis`."""

    def __init__(self, redis: Redis, blocking: Redis) -> None:
        self._redis = redis
        self._blocking = blocking
        self._listeners: set[Listener] = set()
        self._last = START
        self._started = asyncio.Event()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @property
    def last_id(self) -> str:
        """Id of the newest message that was fanned out."""
        return self._last

    async def run(self) -> None:
        """Read and fan out until cancelled; Redis may come and go."""
        while True:
            try:
                if not self._started.is_set():
                    self._last = await self._newest()
                    self._started.set()
                await self._read()
            except (RedisError, OSError, TimeoutError) as error:
                logger.debug("live stream: Redis is away", extra={"reason": str(error)})
                await asyncio.sleep(PAUSE_SECONDS)

    async def started(self, patience: float) -> bool:
        """Wait until the hub knows where the stream ends: listeners that come later miss nothing."""
        try:
            async with asyncio.timeout(patience):
                await self._started.wait()
        except TimeoutError:
            return False
        return True

    def join(self, wish: Wish) -> Listener:
        """Listen from now on.

        Raises:
            TooManyListenersError: come back later.
        """
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyListenersError
        listener = Listener(wish, self._last)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def end(self) -> None:
        """Tell all listeners that the service stops."""
        for listener in self._listeners:
            listener.end()

    async def missed(self, after: str, up_to: str, wish: Wish) -> AsyncIterator[bytes]:
        """Frames of the messages after one id, up to and with another, oldest first."""
        start = after
        while later(up_to, start):
            found = cast("list[Any]", await self._redis.xrange(LIVE, f"({start}", up_to, count=BATCH))
            for message in map(_message, found):
                start = message.id
                if (framed := wish.frame_of(message)) is not None:
                    yield framed
            if len(found) < BATCH:
                return

    async def is_complete_after(self, identifier: str) -> bool:
        """Whether the stream still holds everything that came after an id."""
        newest = await self._newest()
        if later(identifier, newest):
            return False  # ids of another stream: Redis began anew
        if identifier == newest:
            return True
        oldest = cast("list[Any]", await self._redis.xrange(LIVE, count=1))
        return bool(oldest) and not later(_message(oldest[0]).id, identifier)

    async def _newest(self) -> str:
        found = cast("list[Any]", await self._redis.xrevrange(LIVE, count=1))
        return _message(found[0]).id if found else START

    async def _read(self) -> None:
        answer = cast(
            "list[Any] | None",
            await ask(
                self._blocking,
                LIVE,
                *(b"XREAD", "COUNT", BATCH, "BLOCK", BLOCK_MS, "STREAMS", LIVE, self._last),
            ),
        )
        if not answer:
            await self._notice_new_stream()
            return
        for identifier, fields in answer[0][1]:
            message = _message((identifier, dict(zip(fields[::2], fields[1::2], strict=True))))
            self._last = message.id
            for listener in self._listeners:
                listener.offer(message)

    async def _notice_new_stream(self) -> None:
        """After FLUSHALL ids may start below ours, and nothing would ever come."""
        newest = await self._newest()
        if later(self._last, newest):
            self._last = newest


def is_id(text: str) -> bool:
    """Whether a text is the id of a live message."""
    return _ID.fullmatch(text) is not None


def later(one: str, other: str) -> bool:
    """Whether an id comes after another."""
    return _number(one) > _number(other)


def _number(identifier: str) -> tuple[int, int]:
    ms, _, number = identifier.partition("-")
    return int(ms), int(number)


def _message(entry: Any) -> Message:
    identifier, fields = entry
    data = cast("dict[bytes, bytes]", fields).get(FIELD.encode(), b"{}")
    try:
        content = _content_decoder.decode(data)
    except msgspec.DecodeError:
        content = {}
    return Message(identifier.decode(), data, content)

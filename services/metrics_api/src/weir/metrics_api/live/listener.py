"""One listener: what it wants, and the bounded queue of what it has not read yet."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from weir.metrics_api.live.frame import frame, gap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_WAITING: Final = 256
TOPICS: Final = ("metrics", "requests")


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the live stream. Its bytes are shared by all who want it whole."""

    id: str
    data: bytes
    content: Mapping[str, Any]

    @property
    def topic(self) -> str:
        return str(self.content.get("type"))

    @property
    def at_ms(self) -> int:
        return int(self.id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Wish:
    """What a listener wants to hear."""

    topics: frozenset[str]
    wanted: Callable[[Mapping[str, Any]], bool] | None = None
    """Which requests; None for all."""

    def frame_of(self, message: Message) -> bytes | None:
        """The message as this listener shall see it; None if nothing of it concerns it."""
        if message.topic not in self.topics:
            return None
        if message.topic != "requests" or self.wanted is None:
            return frame(message.data, message.id)
        rows = [row for row in message.content["data"] if self.wanted(row)]
        skipped = message.content.get("skipped", 0)
        if not rows and not skipped:
            return None
        content = {"type": "requests", "data": rows, **({"skipped": skipped} if skipped else {})}
        return frame(orjson.dumps(content), message.id)


@dataclass(slots=True, eq=False)
class Listener:
    """A queue that never grows: who reads too slowly loses what waits and is told so with a `gap`."""

    wish: Wish
    after: str
    """Id of the newest message that is none of this listener's business: it came before it."""
    _waiting: deque[bytes] = field(default_factory=deque[bytes])
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False

    def offer(self, message: Message) -> None:
        framed = self.wish.frame_of(message)
        if framed is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            framed = gap(message.at_ms, message.id)
        self._waiting.append(framed)
        self._news.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        self._news.set()

    async def next(self, patience: float) -> list[bytes] | None:
        """What waits, as soon as something does; empty after `patience` seconds; None at the end."""
        if not self._waiting and not self._ended:
            try:
                async with asyncio.timeout(patience):
                    await self._news.wait()
            except TimeoutError:
                return []
        self._news.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return None if self._ended and not found else found

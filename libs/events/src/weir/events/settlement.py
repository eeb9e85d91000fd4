"""Up to which moment all that Redis confirmed has been stored: what the writing side may forget.

The metrics APIs acknowledge an entry when its record is in the database (or among the dead letters). So when
their group needs nothing any more up to the id that was the newest at some moment, then all that had been
confirmed before that moment is stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, cast

from weir.events.stream import GROUP, StreamId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NEVER: Final = -math.inf


class Settlement:
    """Follows the group of one stream on one server."""

    def __init__(self) -> None:
        self.until = NEVER
        """All that was confirmed before this moment is stored. It never goes back."""
        self._moment = NEVER
        self._newest: StreamId | None = None

    def saw(self, moment: float, newest: StreamId, settled: StreamId) -> None:
        """`newest` was asked for after `moment`; the group needs nothing any more up to `settled`."""
        if self._newest is not None and settled >= self._newest:
            self.until, self._newest = self._moment, None
        if self._newest is None:
            self._moment, self._newest = moment, newest

    def forget(self) -> None:
        """It is another stream than before, whose entries say nothing about what went into that one."""
        self._newest = None


async def look(ask: Callable[..., Awaitable[object]], stream: str) -> tuple[StreamId, StreamId] | None:
    """The newest id of a stream, and up to which one its group needs nothing any more; None without a group.

    `ask` sends one command to Redis.

    Raises:
        ResponseError: there is no such stream, or it may not be asked for.
    """
    newest = StreamId.of(_fields(await ask("XINFO", "STREAM", stream))["last-generated-id"])
    for raw in cast("list[Any]", await ask("XINFO", "GROUPS", stream)):
        group = _fields(raw)
        if group["name"] == GROUP.encode():
            if group["pending"]:
                oldest = cast("list[Any]", await ask("XPENDING", stream, GROUP))[1]
                if oldest is not None:
                    return newest, StreamId.of(oldest).before
            return newest, StreamId.of(group["last-delivered-id"])
    return None


def _fields(raw: Any) -> dict[str, Any]:
    """RESP 3 answers with a map, RESP 2 with names and values in turn."""
    if isinstance(raw, dict):
        named = cast("dict[bytes, Any]", raw)
        return {name.decode(): value for name, value in named.items()}
    return {name.decode(): value for name, value in zip(raw[::2], raw[1::2], strict=True)}

"""The Redis keys through which the services meet. Nothing else crosses between them."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

REQUESTS: Final = "weir:requests"
"""Stream of finished requests; one field, `e`, holds one encoded RequestEvent."""
FIELD: Final = "e"
GROUP: Final = "metrics-api"
"""The consumer group all metrics APIs share."""
DEAD: Final = "weir:requests:dead"
"""Stream of entries that could not be read: the entry's field `e`, its `id` and the `reason`."""
LIVE: Final = "weir:live"
"""Bounded stream of what SSE sends; one field, `e`, holds one message as JSON."""


def heartbeat_key(proxy_id: str) -> str:
    return f"weir:proxies:{proxy_id}"


HEARTBEATS: Final = "weir:proxies:*"
"""Pattern of all heartbeat keys."""
ACCOUNTS: Final = "weir:accounts"
"""Hash of the accounts of all proxies' lives (weir.events.accounts); it does not expire."""


class StreamId(NamedTuple):
    """The id of a stream's entry. Ids grow; the first part is the time of adding by the clock of Redis."""

    ms: int
    number: int

    @classmethod
    def of(cls, identifier: bytes) -> Self:
        """Raises ValueError for what is none."""
        ms, _, number = identifier.partition(b"-")
        return cls(int(ms), int(number or 0))

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"

    @property
    def next(self) -> StreamId:
        """The smallest id above this one."""
        return StreamId(self.ms, self.number + 1)

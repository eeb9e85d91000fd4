"""The Redis keys through which the services meet. Nothing else crosses between them."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

_LAST_NUMBER: Final = 2**63 - 1
"""More than any millisecond has, and what databases hold."""
REQUESTS: Final = "weir:requests"
"""Stream of finished requests; one field, `e`, holds one encoded RequestEvent."""
FIELD: Final = "e"
GROUP: Final = "metrics-api"
"""The consumer group all metrics APIs share."""
DEAD: Final = "weir:requests:dead"
"""Stream of entries that could not be stored: the entry's field `e`, its `id`, the `reason`, how often it was
delivered (`deliveries`) and whose it is (`life`, where that can be told)."""
DEAD_COUNTS: Final = "weir:requests:dead:counts"
"""Hash: how many entries of each life of a proxy (`life`) were put aside and not replayed. Those that were
dropped since still count: what became of them is known."""
LIVE: Final = "weir:live"
"""Bounded stream of what SSE sends; one field, `e`, holds one message as JSON."""


def life(proxy_id: str, journal: str | None) -> str:
    """The name of one life of a proxy, told by one of its journals; empty where that is not known."""
    boot_id = (journal or "").rpartition("-")[0]
    return f"{proxy_id}/{boot_id}" if boot_id else ""


def heartbeat_key(proxy_id: str) -> str:
    return f"weir:proxies:{proxy_id}"


HEARTBEATS: Final = "weir:proxies:*"
"""Pattern of all heartbeat keys."""
ACCOUNTS: Final = "weir:accounts"
"""Hash of the accounts of all proxies' lives (weir.events.accounts); it does not expire."""


def request_streams(shards: int) -> tuple[str, ...]:
    """The streams of finished requests: one, or several that a Cluster may keep on different nodes."""
    return (REQUESTS,) if shards == 1 else tuple(f"{REQUESTS}:{{{number}}}" for number in range(shards))


def witness_key(stream: str) -> str:
    """A word that lies on the same server as the stream; when it is gone, so is what the stream held."""
    tag = stream.partition("{")[2].rstrip("}") or stream
    return f"weir:witness:{{{tag}}}"


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

    @property
    def before(self) -> StreamId:
        """The largest id below this one."""
        return StreamId(self.ms, self.number - 1) if self.number else StreamId(self.ms - 1, _LAST_NUMBER)

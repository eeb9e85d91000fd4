"""The Redis keys through which the services meet. Nothing else crosses between them."""

from __future__ import annotations

from typing import Final

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

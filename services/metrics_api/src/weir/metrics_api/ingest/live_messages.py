"""Freshly committed records as messages of the live stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from weir.metrics_api.reports.requests import live_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.events import RequestEvent

MOST: Final = 50
"""Requests in one message. A batch with more is a backlog or a flood, which nobody reads line by line:
the newest are sent with the number of the others, and whoever shows totals asks again."""


def messages(events: Sequence[RequestEvent]) -> list[bytes]:
    """What listeners are told of a batch; nothing of an empty one."""
    if not events:
        return []
    newest = events[-MOST:]
    message: dict[str, object] = {"type": "requests", "data": [live_document(event) for event in newest]}
    if len(events) > MOST:
        message["skipped"] = len(events) - MOST
    return [orjson.dumps(message)]

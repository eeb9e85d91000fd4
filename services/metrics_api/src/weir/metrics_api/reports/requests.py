"""Single requests: the page, its cursor, and the document that REST and SSE show."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec
import orjson

from weir.metrics_api.metrics.measure import tokens_per_second
from weir.metrics_api.storage.port import Window

if TYPE_CHECKING:
    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Filter, RequestQueries

_CURSOR: Final = struct.Struct(">BqqqI")
_CURSOR_VERSION: Final = 1
DEMO_PROVIDER: Final = "echo"
MOST: Final = 200
"""Requests on one page."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class InvalidCursorError(ValueError):
    """A cursor that was not given out by this API, or for other filters."""


@dataclass(frozen=True, slots=True)
class RequestPage:
    items: list[dict[str, Any]]
    next_cursor: str | None


def document(event: RequestEvent) -> dict[str, Any]:
    """Every field that is kept of the record, with what is derived from it."""
    speed = tokens_per_second(event)
    fields = msgspec.structs.asdict(event)
    del fields["journal"], fields["sequence"]  # for the reconciliation; rows do not hold them
    return {
        **fields,
        "tokens_per_second": None if speed is None else round(speed, 3),
        "cost_usd": None,
        "price_version": None,
        "cost_status": "free" if event.provider == DEMO_PROVIDER else "unpriced",
    }


def live_document(event: RequestEvent) -> dict[str, Any]:
    """The document without what only the detail view shows."""
    found = document(event)
    del found["usage_raw"], found["attempts"]
    return found


async def page(
    store: RequestQueries, window: Window, wanted: Filter, limit: int, cursor: str | None
) -> RequestPage:
    """The newest requests. A cursor carries its window, so that paging through a relative range is stable.

    Raises:
        InvalidCursorError: the cursor is not of this question.
    """
    before: int | None = None
    if cursor is not None:
        window, before = _read_cursor(cursor, wanted)
    found = await store.requests(window, wanted, limit=limit, before=before)
    position = found.next_position
    following = None if position is None else _write_cursor(window, position, wanted)
    return RequestPage([document(event) for event in found.events], following)


async def find(store: RequestQueries, request_id: str) -> dict[str, Any] | None:
    """One request by its `request_id`; None when there is none."""
    event = await store.request(request_id) if _UUID.fullmatch(request_id) else None
    return None if event is None else document(event)


def _write_cursor(window: Window, position: int, wanted: Filter) -> str:
    packed = _CURSOR.pack(_CURSOR_VERSION, window.start, window.end, position, _digest(wanted))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_cursor(text: str, wanted: Filter) -> tuple[Window, int]:
    hint = "take next_cursor of the page before as it is, or leave cursor out to start again"
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, start, end, position, digest = _CURSOR.unpack(packed)
    except (ValueError, binascii.Error, struct.error):
        raise InvalidCursorError(f"cursor is not one of this API; {hint}") from None
    if version != _CURSOR_VERSION or start >= end or position < 0 or start < 0:
        raise InvalidCursorError(f"cursor is not one of this API; {hint}")
    if digest != _digest(wanted):
        raise InvalidCursorError(f"cursor belongs to a question with other filters; {hint}")
    return Window(start, end), position


def _digest(wanted: Filter) -> int:
    return crc32(orjson.dumps(asdict(wanted), option=orjson.OPT_SORT_KEYS))

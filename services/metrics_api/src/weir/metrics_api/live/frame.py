"""Server-sent events as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

HEARTBEAT: Final = b": heartbeat\n\n"
RETRY: Final = b"retry: 2000\n\n"


def frame(message: Mapping[str, Any] | bytes, identifier: str | None = None) -> bytes:
    """One event; JSON has no raw line ends, so one data line is enough."""
    data = message if isinstance(message, bytes) else orjson.dumps(message)
    head = b"" if identifier is None else b"id: " + identifier.encode() + b"\n"
    return head + b"data: " + data + b"\n\n"


def gap(missed_from_ms: int, identifier: str | None = None) -> bytes:
    """Tells a client that it missed something and has to ask for everything since that moment."""
    return frame({"type": "gap", "data": {"missed_from": missed_from_ms}}, identifier)

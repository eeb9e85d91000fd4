"""Whose trace a request belongs to, and what of it goes up (W3C Trace Context).

The caller's trace is continued; where there is none, or none that is valid, one begins here. No ids are drawn
for it: a request's id is a UUID with many random bits, so it is the trace's, and its second half the span's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from weir.proxy.exchange import RequestHead

_NAME: Final = b"traceparent"
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?"
)
_LENGTH_OF_00: Final = 55
_KNOWN_FLAGS: Final = 0x03
"""Sampled, and random trace id; others are not passed on, as we do not know what they promise."""


class Trace(msgspec.Struct, frozen=True, gc=False):
    """A caller's trace."""

    trace_id: str
    flags: str


def read_trace(head: RequestHead) -> Trace | None:
    """The caller's trace; None if it has none, or not one valid header that names it."""
    value = head.fields.get(_NAME)
    if value is None:
        return None
    match = _TRACEPARENT.fullmatch(value)
    repeated = sum(lower == _NAME for lower, _, _ in head.headers) > 1
    if match is None or repeated or (value.startswith(b"00") and len(value) != _LENGTH_OF_00):
        return None
    return Trace(match[1].decode(), f"{int(match[2], 16) & _KNOWN_FLAGS:02x}")


def own_ids(request_id: str) -> tuple[str, str]:
    """The ids of a trace and of its first span, made of a request's id."""
    digits = request_id.replace("-", "")
    return digits, digits[16:]


def header_line(trace_id: str, span_id: str, flags: str) -> bytes:
    """What follows another header's value in the head that goes up, whose spans are our span's children."""
    return f"\r\ntraceparent: 00-{trace_id}-{span_id}-{flags}".encode()

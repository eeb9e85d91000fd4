"""What a stream entry must be to become a row. The rest is put aside with its reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from weir.events import UndecodableEventError, decode
from weir.events.stream import life

if TYPE_CHECKING:
    from weir.events import RequestEvent

LARGEST_ENTRY: Final = 256 * 1024
"""Bytes; a record is about 1 kB and its fields are bounded at the proxy."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Origin(msgspec.Struct):
    proxy_id: str
    journal: str | None = None


_origin_decoder = msgspec.json.Decoder(_Origin)


class UnacceptableEntryError(ValueError):
    """An entry that cannot become a row; the message says why."""


def accept(data: bytes | None) -> RequestEvent:
    """The record in an entry.

    Raises:
        UnacceptableEntryError: there is none that could be stored.
    """
    if data is None:
        raise UnacceptableEntryError("the entry has no field e")
    if len(data) > LARGEST_ENTRY:
        raise UnacceptableEntryError(f"the entry has {len(data)} bytes; at most {LARGEST_ENTRY} are read")
    try:
        event = decode(data)
    except UndecodableEventError as error:
        raise UnacceptableEntryError(str(error)) from None
    except RecursionError:
        raise UnacceptableEntryError("the entry is nested too deeply") from None
    if _UUID.fullmatch(event.request_id) is None:
        raise UnacceptableEntryError("request_id is not a UUID in its canonical form")
    return event


def whose(data: bytes | None) -> str:
    """Which life of a proxy wrote an entry (weir.events.stream.life); empty where it does not say."""
    try:
        origin = _origin_decoder.decode(data or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return life(origin.proxy_id, origin.journal)

"""Looking into JSON that is incomplete, embedded or not JSON at all, without ever failing."""

from __future__ import annotations

import json
from typing import Any, Final, cast

import msgspec

_WINDOW: Final = 16 << 10
"""The longest value looked for inside other bytes."""


def json_object(data: bytes) -> dict[str, Any]:
    """The object in `data`; empty if it is anything else."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def value_at(data: bytes, start: int) -> tuple[Any, int] | None:
    """The JSON value that starts at a position, and where it ends. Latin-1 keeps one character a byte."""
    window = data[start : start + _WINDOW].decode("latin-1")
    try:
        _, length = json.JSONDecoder().raw_decode(window)
        return msgspec.json.decode(data[start : start + length]), start + length
    except (ValueError, RecursionError):
        return None


def object_after(data: bytes, key: bytes) -> dict[str, Any] | None:
    """The object where the quoted `key` stands last, in bytes that are not one whole document."""
    at = data.rfind(key)
    brace = data.find(b"{", at)
    if at < 0 or brace < 0 or data[at + len(key) : brace].strip() != b":":
        return None
    found = value_at(data, brace)
    return cast("dict[str, Any]", found[0]) if found is not None and isinstance(found[0], dict) else None


def text(value: object) -> str | None:
    """A string with something in it, or None."""
    return value if isinstance(value, str) and value else None

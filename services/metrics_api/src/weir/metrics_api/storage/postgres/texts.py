"""Values in PostgreSQL's own form: texts that may hold a NUL, and UUIDs as plain bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weir.metrics_api.storage.postgres.driver import Connection

# PostgreSQL's text has no NUL, a client's may. \x01 marks what stands for another character.
_ESCAPES: Final = {"\x00": "\x01\x02", "\x01": "\x01\x01"}
_UNESCAPES: Final = {held.encode(): plain.encode() for plain, held in _ESCAPES.items()}
_ESCAPED: Final = re.compile(rb"\x01[\x01\x02]")


async def register(connection: Connection) -> None:
    """Make a connection speak so."""
    await connection.set_type_codec(
        "text", schema="pg_catalog", encoder=encode, decoder=decode, format="binary"
    )
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
    )


def escaped(text: str) -> str:
    """What PostgreSQL holds for a text. For texts within arrays, which `register` does not reach."""
    if "\x00" in text or "\x01" in text:
        return text.replace("\x01", _ESCAPES["\x01"]).replace("\x00", _ESCAPES["\x00"])
    return text


def encode(text: str) -> bytes:
    """Raises UnicodeEncodeError for half a surrogate pair, which is no text."""
    return (escaped(text) if "\x00" in text or "\x01" in text else text).encode()


def decode(stored: bytes) -> str:
    if b"\x01" in stored:
        stored = _ESCAPED.sub(lambda found: _UNESCAPES[found.group()], bytes(stored))
    return str(stored, "utf-8")

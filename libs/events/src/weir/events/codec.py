"""A RequestEvent as bytes, and back. JSON, so that a person with redis-cli can read the stream."""

from __future__ import annotations

import msgspec

from weir.events.request_event import FIRST_SCHEMA_VERSION, SCHEMA_VERSION, RequestEvent


class UndecodableEventError(ValueError):
    """Bytes that are not a RequestEvent this version can read; the message says why."""


class _Version(msgspec.Struct):
    schema_version: int = FIRST_SCHEMA_VERSION


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RequestEvent)
_version_decoder = msgspec.json.Decoder(_Version)


def encode(event: RequestEvent) -> bytes:
    """The event as UTF-8 JSON with its default values left out."""
    return _encoder.encode(event)


def decode(data: bytes) -> RequestEvent:
    """Read an event of this schema version or one before. Unknown fields, which a newer proxy may send, are
    skipped; absent ones, which an older proxy did not know, have their default.

    Raises:
        UndecodableEventError: not JSON, a field missing or of the wrong type, or an unknown schema version.
    """
    try:
        event = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UndecodableEventError(_reason(data, error)) from None
    if not FIRST_SCHEMA_VERSION <= event.schema_version <= SCHEMA_VERSION:
        raise UndecodableEventError(_unknown_version(event.schema_version))
    return event


def _reason(data: bytes, error: Exception) -> str:
    """A newer schema may fail on any field, but its version number is the useful thing to say."""
    try:
        version = _version_decoder.decode(data).schema_version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return str(error)
    known = FIRST_SCHEMA_VERSION <= version <= SCHEMA_VERSION
    return str(error) if known else _unknown_version(version)


def _unknown_version(version: int) -> str:
    return (
        f"schema_version {version} is unknown here (this reader knows {FIRST_SCHEMA_VERSION} to "
        f"{SCHEMA_VERSION}): a newer proxy wrote it; upgrade the metrics API and replay it"
    )

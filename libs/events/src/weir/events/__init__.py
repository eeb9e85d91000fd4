"""The request record and its way from the proxy to the database."""

from weir.events.codec import UndecodableEventError, decode, encode
from weir.events.request_event import (
    ERROR_OUTCOMES,
    SCHEMA_VERSION,
    Attempt,
    Outcome,
    RequestEvent,
    UsageSource,
)

__all__ = [
    "ERROR_OUTCOMES",
    "SCHEMA_VERSION",
    "Attempt",
    "Outcome",
    "RequestEvent",
    "UndecodableEventError",
    "UsageSource",
    "decode",
    "encode",
]

"""The record of one client request: what the proxy writes, the stream carries and the database keeps."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

SCHEMA_VERSION: Final = 1
"""Of what is written. A field that is added, and may be absent, does not change it. What an older reader
would misunderstand does: a field that means something else or goes, a new value of an enumeration."""
FIRST_SCHEMA_VERSION: Final = 1
"""What a record that tells no version is of, for ever."""
MAX_TEXT: Final = 256
"""Longest text, in characters, of any free field that has no bound of its own."""
MAX_ERROR_MESSAGE: Final = 500
MAX_USAGE_RAW: Final = 1024


Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number that JSON carries exactly and that can be added up for years; enforced where records are read."""
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=2**53)]


class Outcome(StrEnum):
    """The one final fate of an exchange."""

    COMPLETED = "completed"
    CLIENT_ERROR = "client_error"
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    TRUNCATED = "truncated"
    INTERNAL_ERROR = "internal_error"


ERROR_OUTCOMES: Final = frozenset(
    {Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT, Outcome.TRUNCATED, Outcome.INTERNAL_ERROR}
)
"""The outcomes that count into the error rate; 4xx and cancelled requests are counted apart."""


class UsageSource(StrEnum):
    """Where the token counts of a record come from."""

    REPORTED = "reported"
    ESTIMATED = "estimated"
    MISSING = "missing"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one upstream; `ms` is from its start to its end."""

    upstream: str
    status: int | None = None
    ms: float | None = None
    error: str | None = None


class RequestEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished client request. Absent is None, never 0; `*_ms` are milliseconds on a monotonic clock.

    Names follow OpenTelemetry's GenAI conventions and OpenAI's usage object. Input tokens are canonical:
    `prompt_tokens` includes what was read from and written to the provider's cache.
    """

    # identity
    request_id: str
    """UUIDv7 in its canonical form: the idempotency key from here to the database."""
    proxy_id: str
    started_at: Annotated[int, msgspec.Meta(ge=0, lt=2**52)]
    """Microseconds since the Unix epoch at which the request was accepted."""
    endpoint: str
    """The operation, such as `chat.completions`."""
    outcome: Outcome
    schema_version: int = FIRST_SCHEMA_VERSION
    journal: str | None = None
    """The journal that it was written to, or would have been: the proxy's boot id, a dash, a number."""
    sequence: Count | None = None
    """Its place in that journal, from 1 without a gap; None where it was written for a process that died."""
    client_request_id: str | None = None
    upstream_request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    # who
    tenant: str = "default"
    project: str | None = None
    api_key_id: str | None = None
    user: str | None = None
    # what
    provider: str | None = None
    upstream: str | None = None
    variant: str | None = None
    model_requested: str | None = None
    model: str | None = None
    stream: bool | None = None
    metadata: dict[str, str] | None = None
    # fate
    status_code: Count | None = None
    error_type: str | None = None
    error_message: str | None = None
    finish_reason: str | None = None
    retries: Count = 0
    attempts: list[Attempt] | None = None
    # when
    queue_ms: Milliseconds | None = None
    connect_ms: Milliseconds | None = None
    """Time spent on opening the upstream connection; 0 when a kept one was used."""
    upstream_headers_ms: Milliseconds | None = None
    time_to_first_token_ms: Milliseconds | None = None
    time_to_first_answer_ms: Milliseconds | None = None
    time_to_last_token_ms: Milliseconds | None = None
    duration_ms: Milliseconds | None = None
    proxy_overhead_ms: Milliseconds | None = None
    max_token_gap_ms: Milliseconds | None = None
    # how much
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    usage_source: UsageSource = UsageSource.MISSING
    usage_raw: dict[str, Any] | None = None
    request_bytes: Count | None = None
    response_bytes: Count | None = None
    content_chunks: Count | None = None

"""One request, as it is shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from weir.events import Outcome, UsageSource
from weir.metrics_api.answers.answer import Answer

CostStatus = Literal["priced", "unpriced", "estimated", "free"]


class Attempt(Answer):
    """One try at one upstream."""

    upstream: str = Field(description="Name of the upstream.")
    status: int | None = Field(None, description="Its status code; absent when it sent no head.")
    ms: float | None = Field(None, description="From the start of the try to its end.")
    error: str | None = Field(None, description="What went wrong.")


class LiveRequest(Answer):
    """One finished client request, as live events carry it. `*_ms` are milliseconds on a monotonic clock."""

    request_id: str = Field(description="UUIDv7; what the header x-weir-request-id said.")
    proxy_id: str = Field(description="The proxy that relayed it.")
    started_at: int = Field(description="Accepted at, in microseconds since the Unix epoch.")
    endpoint: str = Field(description="The operation, such as `chat.completions`.")
    outcome: Outcome = Field(description="The one final fate.")
    schema_version: int = Field(description="Version of the record.")
    client_request_id: str | None = Field(description="The caller's own x-request-id.")
    upstream_request_id: str | None = Field(description="The upstream's id of it.")
    trace_id: str | None = Field(description="W3C trace id.")
    span_id: str | None = Field(description="W3C span id.")
    tenant: str = Field(description="`default` while there is one tenant.")
    project: str | None = Field(description="What the header x-weir-project said.")
    api_key_id: str | None = Field(description="Name of the client whose key was used; never the key.")
    user: str | None = Field(description="What the header x-weir-user said, else the user in the body.")
    provider: str | None = Field(
        description="Dialect of the upstream: `openai`, `ollama`, `echo` for the demo."
    )
    upstream: str | None = Field(description="Name of the upstream that answered.")
    variant: str | None = Field(description="`production` or `canary`; null counts as production.")
    model_requested: str | None = Field(description="The model asked for.")
    model: str | None = Field(description="The model as answered.")
    stream: bool | None = Field(description="Whether a stream was asked for.")
    metadata: dict[str, str] | None = Field(description="Other x-weir-* headers of the client.")
    status_code: int | None = Field(description="Sent to the client; null when no head was sent.")
    error_type: str | None = Field(description="Kind of error.")
    error_message: str | None = Field(description="At most 500 characters, without secrets.")
    finish_reason: str | None = Field(description="Why the model stopped, in its own words.")
    retries: int = Field(description="Tries after the first.")
    queue_ms: float | None = Field(description="Accepted until a connection was sought.")
    connect_ms: float | None = Field(
        description="Opening the upstream connection; 0 when a kept one was used."
    )
    upstream_headers_ms: float | None = Field(description="Request sent until the head of the answer.")
    time_to_first_token_ms: float | None = Field(description="Accepted until the first content token (TTFT).")
    time_to_first_answer_ms: float | None = Field(description="The same, first token after the reasoning.")
    time_to_last_token_ms: float | None = Field(description="Accepted until the last content token.")
    duration_ms: float | None = Field(description="Accepted until the last byte was handed over (latency).")
    proxy_overhead_ms: float | None = Field(description="Of that, what the proxy itself took.")
    max_token_gap_ms: float | None = Field(description="The longest silence between two tokens.")
    prompt_tokens: int | None = Field(description="Input tokens, those of the provider's cache included.")
    completion_tokens: int | None = Field(description="Output tokens, reasoning included.")
    total_tokens: int | None = Field(description="Both.")
    cache_read_tokens: int | None = Field(description="Input tokens read from the provider's cache.")
    cache_write_tokens: int | None = Field(description="Input tokens written to that cache.")
    reasoning_tokens: int | None = Field(description="Output tokens spent on reasoning.")
    usage_source: UsageSource = Field(description="Where the token counts come from.")
    request_bytes: int | None = Field(description="Size of the request's body.")
    response_bytes: int | None = Field(description="Size of the answer's body.")
    content_chunks: int | None = Field(description="Stream events with content.")
    tokens_per_second: float | None = Field(description="Output speed from first to last token.")
    cost_usd: float | None = Field(description="What it cost; null without a price.")
    price_version: str | None = Field(description="The price list it was computed with.")
    cost_status: CostStatus = Field(description="What the cost is worth.")


class Request(LiveRequest):
    """One finished client request. `*_ms` are milliseconds on a monotonic clock."""

    attempts: list[Attempt] | None = Field(description="Every try at an upstream; null when there was one.")
    usage_raw: dict[str, Any] | None = Field(description="The provider's usage object, where it says more.")


class RequestPage(Answer):
    """Requests, newest first."""

    items: list[Request]
    next_cursor: str | None = Field(description="Where the next page goes on; null at the end.")

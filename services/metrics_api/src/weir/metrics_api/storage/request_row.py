"""A RequestEvent as a row of completion_requests, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import msgspec
import orjson

from weir.events import Attempt, Outcome, RequestEvent, UsageSource
from weir.metrics_api.storage import position

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOMES: Final[tuple[Outcome, ...]] = (
    Outcome.COMPLETED,
    Outcome.CLIENT_ERROR,
    Outcome.UPSTREAM_ERROR,
    Outcome.TIMEOUT,
    Outcome.CANCELLED,
    Outcome.REJECTED,
    Outcome.TRUNCATED,
    Outcome.INTERNAL_ERROR,
)
"""Their places are what the database holds: append only."""
OUTCOME_CODES: Final = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_SOURCES: Final[tuple[UsageSource, ...]] = (UsageSource.REPORTED, UsageSource.ESTIMATED, UsageSource.MISSING)
_SOURCE_CODES: Final = {source: code for code, source in enumerate(_SOURCES)}
_TOKEN_DETAILS: Final = {
    ("prompt_tokens_details", "cached_tokens"): "cache_read_tokens",
    ("completion_tokens_details", "reasoning_tokens"): "reasoning_tokens",
}
_attempts_decoder = msgspec.json.Decoder(list[Attempt])


def to_row(
    event: RequestEvent, place: int, request_id: bytes, names: Mapping[str | None, int | None]
) -> tuple[Any, ...]:
    """The parameters of request_add.sql."""
    return (
        place,
        request_id,
        OUTCOME_CODES[event.outcome],
        event.status_code,
        names[event.model],
        names[event.model_requested],
        event.stream,
        names[event.tenant],
        names[event.project],
        names[event.api_key_id],
        names[event.user],
        names[event.provider],
        names[event.upstream],
        names[event.variant],
        names[event.endpoint],
        names[event.proxy_id],
        names[event.error_type],
        names[event.finish_reason],
        event.retries,
        _us(event.queue_ms),
        _us(event.connect_ms),
        _us(event.upstream_headers_ms),
        _us(event.time_to_first_token_ms),
        _us(event.time_to_first_answer_ms),
        _us(event.time_to_last_token_ms),
        _us(event.duration_ms),
        _us(event.proxy_overhead_ms),
        _us(event.max_token_gap_ms),
        event.prompt_tokens,
        event.completion_tokens,
        event.total_tokens,
        event.cache_read_tokens,
        event.cache_write_tokens,
        event.reasoning_tokens,
        _SOURCE_CODES[event.usage_source],
        event.request_bytes,
        event.response_bytes,
        event.content_chunks,
        event.client_request_id,
        event.upstream_request_id,
        event.trace_id,
        event.span_id,
        event.error_message,
        orjson.dumps(event.metadata).decode() if event.metadata else None,
        _attempts(event),
        msgspec.json.encode(event.usage_raw).decode() if event.usage_raw and _says_more(event) else None,
        event.schema_version,
    )


def from_row(row: tuple[Any, ...]) -> RequestEvent:
    """What requests.sql and request.sql select."""
    (
        place, request_id, outcome, status_code, stream, retries,
        queue, connect, upstream_headers, first_token, first_answer, last_token, duration, overhead, gap,
        prompt_tokens, completion_tokens, total_tokens, cache_read, cache_write, reasoning, usage_source,
        request_bytes, response_bytes, content_chunks,
        client_request_id, upstream_request_id, trace_id, span_id, error_message, metadata, attempts,
        usage_raw, schema_version,
        model, model_requested, tenant, project, api_key_id, user, provider, upstream, variant, endpoint,
        proxy_id, error_type, finish_reason,
    ) = row  # fmt: skip
    fate: Outcome = OUTCOMES[int(outcome)]
    source: UsageSource = _SOURCES[int(usage_source)]
    return RequestEvent(
        request_id=str(UUID(bytes=request_id)),
        proxy_id=proxy_id,
        started_at=position.started_at(place),
        endpoint=endpoint,
        outcome=fate,
        schema_version=schema_version,
        client_request_id=client_request_id,
        upstream_request_id=upstream_request_id,
        trace_id=trace_id,
        span_id=span_id,
        tenant=tenant,
        project=project,
        api_key_id=api_key_id,
        user=user,
        provider=provider,
        upstream=upstream,
        variant=variant,
        model_requested=model_requested,
        model=model,
        stream=None if stream is None else bool(stream),
        metadata=None if metadata is None else orjson.loads(metadata),
        status_code=status_code,
        error_type=error_type,
        error_message=error_message,
        finish_reason=finish_reason,
        retries=retries,
        attempts=None if attempts is None else _attempts_decoder.decode(attempts),
        queue_ms=_ms(queue),
        connect_ms=_ms(connect),
        upstream_headers_ms=_ms(upstream_headers),
        time_to_first_token_ms=_ms(first_token),
        time_to_first_answer_ms=_ms(first_answer),
        time_to_last_token_ms=_ms(last_token),
        duration_ms=_ms(duration),
        proxy_overhead_ms=_ms(overhead),
        max_token_gap_ms=_ms(gap),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=total_tokens,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
        usage_source=source,
        usage_raw=None if usage_raw is None else msgspec.json.decode(usage_raw),
        request_bytes=request_bytes,
        response_bytes=response_bytes,
        content_chunks=content_chunks,
    )


def _us(ms: float | None) -> int | None:
    return None if ms is None else round(ms * 1000)


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _attempts(event: RequestEvent) -> str | None:
    """Kept only when there was more to tell than the row itself tells."""
    attempts = event.attempts
    if attempts is None or len(attempts) <= 1:
        return None
    return msgspec.json.encode(attempts).decode()


def _says_more(event: RequestEvent) -> bool:
    """Whether the usage object holds a number that no column holds."""
    plain = {
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.completion_tokens,
        "total_tokens": event.total_tokens,
    }
    if event.usage_raw == plain:
        return False
    for name, value in cast("dict[str, Any]", event.usage_raw).items():
        if name in plain:
            if value != plain[name]:
                return True
        elif isinstance(value, dict):
            for detail, number in cast("dict[str, Any]", value).items():
                column = _TOKEN_DETAILS.get((name, detail))
                if number and (column is None or number != getattr(event, column)):
                    return True
        elif value:
            return True
    return False

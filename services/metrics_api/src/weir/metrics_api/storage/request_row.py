"""Records as rows of completion_requests, and back."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import msgspec
import orjson

from weir.events import Attempt, Outcome, RequestEvent, UsageSource
from weir.metrics_api.storage import position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
_TOKEN_COUNTS: Final = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_TOKEN_DETAILS: Final = {
    ("prompt_tokens_details", "cached_tokens"): "cache_read_tokens",
    ("completion_tokens_details", "reasoning_tokens"): "reasoning_tokens",
}
_TEXTS: Final = (
    "model", "model_requested", "tenant", "project", "api_key_id", "user", "provider", "upstream", "variant",
    "endpoint", "proxy_id", "error_type", "finish_reason",
)  # fmt: skip
"""Held as ids of names."""
COLUMNS: Final = (
    "id", "request_id", "outcome", "usage_source",
    "model_id", "model_requested_id", "tenant_id", "project_id", "api_key_id", "user_id", "provider_id",
    "upstream_id", "variant_id", "endpoint_id", "proxy_id", "error_type_id", "finish_reason_id",
    "queue_us", "connect_us", "upstream_headers_us", "first_token_us", "first_answer_us", "last_token_us",
    "duration_us", "proxy_overhead_us", "max_token_gap_us",
    "stream", "status_code", "retries", "prompt_tokens", "completion_tokens", "total_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "request_bytes", "response_bytes",
    "content_chunks", "client_request_id", "upstream_request_id", "trace_id", "span_id", "error_message",
    "schema_version", "metadata", "attempts", "usage_raw",
)  # fmt: skip
"""What a row is made of, in the order of `rows`."""
_OUTCOME_CODES: Final = {outcome.value: code for outcome, code in OUTCOME_CODES.items()}
_SOURCE_CODES: Final = {source.value: code for code, source in enumerate(_SOURCES)}
_texts_of = attrgetter(*_TEXTS)
_attempts_decoder = msgspec.json.Decoder(list[Attempt])


def keys(request_ids: Sequence[str]) -> list[bytes]:
    """The ids as the database holds them.

    Raises:
        ValueError: one is not a UUID.
    """
    text = "\n".join(request_ids).replace("-", "")
    return [*map(bytes.fromhex, text.split("\n"))] if text else []


def texts(events: Iterable[RequestEvent]) -> set[str | None]:
    """The strings of these records that are held as ids."""
    found: set[str | None] = set()
    return found.union(*map(_texts_of, events))


def rows(
    events: Iterable[RequestEvent],
    places: Iterable[int],
    request_ids: Iterable[bytes],
    names: Mapping[str | None, int | None],
) -> Iterator[tuple[Any, ...]]:
    """For each record the values of COLUMNS.

    Written out, because this is what is done most often of all: asking a record for a field by name costs
    several times as much, and so does turning a batch over into columns once it is larger than the caches.
    """
    for event, place, request_id in zip(events, places, request_ids, strict=True):
        yield (
            place,
            request_id,
            _OUTCOME_CODES[event.outcome._value_],
            _SOURCE_CODES[event.usage_source._value_],
            names[event.model],
            names[event.model_requested],
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
            None if (ms := event.queue_ms) is None else round(ms * 1000),
            None if (ms := event.connect_ms) is None else round(ms * 1000),
            None if (ms := event.upstream_headers_ms) is None else round(ms * 1000),
            None if (ms := event.time_to_first_token_ms) is None else round(ms * 1000),
            None if (ms := event.time_to_first_answer_ms) is None else round(ms * 1000),
            None if (ms := event.time_to_last_token_ms) is None else round(ms * 1000),
            None if (ms := event.duration_ms) is None else round(ms * 1000),
            None if (ms := event.proxy_overhead_ms) is None else round(ms * 1000),
            None if (ms := event.max_token_gap_ms) is None else round(ms * 1000),
            event.stream,
            event.status_code,
            event.retries,
            event.prompt_tokens,
            event.completion_tokens,
            event.total_tokens,
            event.cache_read_tokens,
            event.cache_write_tokens,
            event.reasoning_tokens,
            event.request_bytes,
            event.response_bytes,
            event.content_chunks,
            event.client_request_id,
            event.upstream_request_id,
            event.trace_id,
            event.span_id,
            event.error_message,
            event.schema_version,
            orjson.dumps(event.metadata).decode() if event.metadata else None,
            None if event.attempts is None else _attempts(event.attempts),
            None if event.usage_raw is None else _usage(event, event.usage_raw),
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


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _attempts(attempts: list[Attempt]) -> str | None:
    """Kept only when there was more to tell than the row itself tells."""
    return msgspec.json.encode(attempts).decode() if len(attempts) > 1 else None


def _usage(event: RequestEvent, usage: dict[str, Any]) -> str | None:
    return msgspec.json.encode(usage).decode() if _says_more(event, usage) else None


def _says_more(event: RequestEvent, usage: dict[str, Any]) -> bool:
    """Whether the usage object holds a number that no column holds."""
    for name, value in usage.items():
        if name in _TOKEN_COUNTS:
            if value != getattr(event, name):
                return True
        elif isinstance(value, dict):
            for detail, number in cast("dict[str, Any]", value).items():
                column = _TOKEN_DETAILS.get((name, detail))
                if number and (column is None or number != getattr(event, column)):
                    return True
        elif value:
            return True
    return False

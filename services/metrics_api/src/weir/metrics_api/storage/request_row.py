"""Records as rows of completion_requests, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import msgspec
import orjson

from weir.events import Attempt, Outcome, RequestEvent, UsageSource
from weir.metrics_api.storage import position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weir.metrics_api.metrics.columns import Columns

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
_TIMES: Final = (
    "queue_ms", "connect_ms", "upstream_headers_ms", "time_to_first_token_ms", "time_to_first_answer_ms",
    "time_to_last_token_ms", "duration_ms", "proxy_overhead_ms", "max_token_gap_ms",
)  # fmt: skip
"""Held as µs."""
_PLAIN: Final = (
    "stream", "status_code", "retries", "prompt_tokens", "completion_tokens", "total_tokens",
    "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "request_bytes", "response_bytes",
    "content_chunks", "client_request_id", "upstream_request_id", "trace_id", "span_id", "error_message",
    "schema_version",
)  # fmt: skip
COLUMNS: Final = (
    "id", "request_id", "outcome", "usage_source",
    "model_id", "model_requested_id", "tenant_id", "project_id", "api_key_id", "user_id", "provider_id",
    "upstream_id", "variant_id", "endpoint_id", "proxy_id", "error_type_id", "finish_reason_id",
    "queue_us", "connect_us", "upstream_headers_us", "first_token_us", "first_answer_us", "last_token_us",
    "duration_us", "proxy_overhead_us", "max_token_gap_us",
    *_PLAIN, "metadata", "attempts", "usage_raw",
)  # fmt: skip
"""What a row is made of, in the order of `rows`."""
_OUTCOME_CODES: Final = {outcome.value: code for outcome, code in OUTCOME_CODES.items()}
_SOURCE_CODES: Final = {source.value: code for code, source in enumerate(_SOURCES)}
_attempts_decoder = msgspec.json.Decoder(list[Attempt])


def keys(request_ids: Sequence[str]) -> list[bytes]:
    """The ids as the database holds them.

    Raises:
        ValueError: one is not a UUID.
    """
    text = "\n".join(request_ids).replace("-", "")
    return [*map(bytes.fromhex, text.split("\n"))] if text else []


def texts(columns: Columns) -> set[str | None]:
    """The strings of these records that are held as ids."""
    found: set[str | None] = set()
    return found.union(*[columns[name] for name in _TEXTS])


def rows(
    columns: Columns,
    places: Sequence[int],
    request_ids: Sequence[bytes],
    names: Mapping[str | None, int | None],
) -> Iterator[tuple[Any, ...]]:
    """For each record the values of COLUMNS."""
    return zip(
        places,
        request_ids,
        map(_OUTCOME_CODES.__getitem__, columns["outcome"]),
        map(_SOURCE_CODES.__getitem__, columns["usage_source"]),
        *[map(names.__getitem__, columns[name]) for name in _TEXTS],
        *[_microseconds(columns[name]) for name in _TIMES],
        *[columns[name] for name in _PLAIN],
        [orjson.dumps(metadata).decode() if metadata else None for metadata in columns["metadata"]],
        map(_attempts, columns["attempts"]),
        _usage(columns),
        strict=True,
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


def _microseconds(column: Sequence[float | None]) -> list[int | None]:
    return [None if ms is None else round(ms * 1000) for ms in column]


def _attempts(attempts: list[Attempt] | None) -> str | None:
    """Kept only when there was more to tell than the row itself tells."""
    if attempts is None or len(attempts) <= 1:
        return None
    return msgspec.json.encode(attempts).decode()


def _usage(columns: Columns) -> Sequence[str | None]:
    """The usage objects that say more than the columns do."""
    return [
        None if raw is None or not _says_more(raw, columns, place) else msgspec.json.encode(raw).decode()
        for place, raw in enumerate(columns["usage_raw"])
    ]


def _says_more(usage: dict[str, Any], columns: Columns, place: int) -> bool:
    """Whether the usage object of a record holds a number that no column holds."""
    for name, value in usage.items():
        if name in _TOKEN_COUNTS:
            if value != columns[name][place]:
                return True
        elif isinstance(value, dict):
            for detail, number in cast("dict[str, Any]", value).items():
                column = _TOKEN_DETAILS.get((name, detail))
                if number and (column is None or number != columns[column][place]):
                    return True
        elif value:
            return True
    return False

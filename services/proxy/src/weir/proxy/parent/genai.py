"""The same measures under the names of OpenTelemetry's semantic conventions for generative AI.

The one place that knows them: metrics, attributes and their values as Prometheus writes them (dots and dashes
become underscores, units are spelled out). Our buckets are theirs. Of the conventions as of version 1.37.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.events import Outcome
from weir.proxy.metering.measures import cells
from weir.proxy.parent.exposition import Family

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.proxy.metering.measures.labels import Labels

OPERATIONS: Final = {
    "chat.completions": "chat",
    "responses": "chat",
    "messages": "chat",
    "ollama.chat": "chat",
    "completions": "text_completion",
    "ollama.generate": "text_completion",
    "embeddings": "embeddings",
    "ollama.embed": "embeddings",
    "ollama.embeddings": "embeddings",
}
"""Endpoints by `gen_ai.operation.name`. Others are not among the operations that the conventions name."""

_MODEL: Final = (
    *("gen_ai_operation_name", "gen_ai_provider_name"),
    *("gen_ai_request_model", "gen_ai_response_model"),
)


def _model(labels: Labels) -> tuple[str, ...] | None:
    """None for what reached no model."""
    operation = OPERATIONS.get(labels.endpoint)
    if operation is None or not labels.provider:
        return None
    return operation, labels.provider, labels.model_requested, labels.model_answered


def _any_end(labels: Labels) -> tuple[str, ...] | None:
    model = _model(labels)
    return None if model is None else (*model, "" if labels.outcome == Outcome.COMPLETED else labels.outcome)


def _good_end(labels: Labels) -> tuple[str, ...] | None:
    return _model(labels) if labels.outcome == Outcome.COMPLETED else None


def _token(kind: str) -> Callable[[Labels], tuple[str, ...] | None]:
    def labelled(labels: Labels) -> tuple[str, ...] | None:
        model = _model(labels)
        return None if model is None else (*model, kind)

    return labelled


FAMILIES: Final = (
    Family(
        "gen_ai_client_operation_duration_seconds",
        "GenAI operation duration.",
        (*_MODEL, "error_type"),
        ((cells.DURATION, _any_end),),
    ),
    Family(
        "gen_ai_client_token_usage",
        "Number of input and output tokens used.",
        (*_MODEL, "gen_ai_token_type"),
        ((cells.INPUT, _token("input")), (cells.OUTPUT, _token("output"))),
    ),
    Family(
        "gen_ai_server_request_duration_seconds",
        "Generative AI server request duration such as time-to-last byte or last output token.",
        (*_MODEL, "error_type"),
        ((cells.DURATION, _any_end),),
    ),
    Family(
        "gen_ai_server_time_to_first_token_seconds",
        "Time to generate first token for successful responses.",
        _MODEL,
        ((cells.FIRST_TOKEN, _good_end),),
    ),
    Family(
        "gen_ai_server_time_per_output_token_seconds",
        "Time per output token generated after the first token for successful responses.",
        _MODEL,
        ((cells.PER_TOKEN, _good_end),),
    ),
)

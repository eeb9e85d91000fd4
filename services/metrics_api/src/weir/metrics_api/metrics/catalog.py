"""All metrics. REST, GraphQL and the titles on the screen derive from this list; add a metric here."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from weir.metrics_api.metrics.metric import Metric, Unit, Value, count, known, percent, quantile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weir.metrics_api.metrics.aggregate import Aggregate

_PERCENTILES: Final = (("p50", 0.5, "Half"), ("p95", 0.95, "95 %"), ("p99", 0.99, "99 %"))
_DISTRIBUTIONS: Final[tuple[tuple[str, str, Unit, str], ...]] = (
    (
        "ttft",
        "TTFT",
        "ms",
        "of the streamed ones sent on their first content token within this time of being accepted",
    ),
    ("latency", "Latency", "ms", "were handed over to the last byte within this time of being accepted"),
    ("tokens_per_second", "Speed", "tokens/s", "were generated at most this fast, from first to last token"),
)
_TOKENS: Final = (
    ("tokens_input", "prompt_tokens", "Input tokens", "Tokens of the prompts, cached ones included"),
    ("tokens_output", "completion_tokens", "Output tokens", "Tokens generated, reasoning included"),
    ("tokens_cache_read", "cache_read_tokens", "Cached tokens", "Input tokens read from a provider's cache"),
    ("tokens_cache_write", "cache_write_tokens", "Cache writes", "Input tokens written to such a cache"),
    ("tokens_reasoning", "reasoning_tokens", "Reasoning tokens", "Output tokens spent on reasoning"),
)


def _requests(aggregate: Aggregate, _seconds: float) -> Value:
    return aggregate.sums.requests


def _errors(aggregate: Aggregate, _seconds: float) -> Value:
    return aggregate.fates.errors


def _rate(aggregate: Aggregate, seconds: float) -> Value:
    return aggregate.sums.requests / seconds


def _error_rate(aggregate: Aggregate, _seconds: float) -> Value:
    return percent(aggregate.fates.errors, aggregate.sums.requests)


def _coverage(aggregate: Aggregate, _seconds: float) -> Value:
    return percent(aggregate.fates.completed_reported, aggregate.fates.completed)


def _tokens(measure: str, aggregate: Aggregate, _seconds: float) -> Value:
    return known(aggregate, measure)


def _token_rate(measure: str, aggregate: Aggregate, seconds: float) -> Value:
    tokens = known(aggregate, measure)
    return None if tokens is None else tokens / seconds


def _quantile(distribution: str, q: float, aggregate: Aggregate, _seconds: float) -> Value:
    return quantile(aggregate, distribution, q)


def _count(distribution: str, aggregate: Aggregate, _seconds: float) -> Value:
    return count(aggregate, distribution)


def _known(measure: str) -> tuple[str, ...]:
    """What `known` looks at."""
    return "requests", measure, f"{measure}_n"


def _entries() -> Iterator[Metric]:
    yield Metric(
        "requests",
        "Requests",
        "requests",
        "Accepted requests, whatever became of them",
        _requests,
        ("requests",),
    )
    yield Metric(
        "errors",
        "Errors",
        "requests",
        "Requests that ended as upstream_error, timeout, truncated or internal_error",
        _errors,
        ("errors",),
    )
    yield Metric(
        "req_rate", "Request rate", "requests/s", "Accepted requests per second", _rate, ("requests",)
    )
    yield Metric(
        "error_rate_pct",
        "Error rate",
        "%",
        "Errors as a share of all requests",
        _error_rate,
        ("requests", "errors"),
    )
    for slug, measure, title, description in _TOKENS:
        yield Metric(slug, title, "tokens", description, partial(_tokens, measure), _known(measure))
    for slug, measure, title in (
        ("token_rate_in", "prompt_tokens", "Input token rate"),
        ("token_rate_out", "completion_tokens", "Output token rate"),
    ):
        description = f"{title.removesuffix(' rate')}s per second of the period"
        yield Metric(slug, title, "tokens/s", description, partial(_token_rate, measure), _known(measure))
    for slug, title, unit, description in _DISTRIBUTIONS:
        for name, q, share in _PERCENTILES:
            text = f"{share} of the completed requests {description}"
            yield Metric(
                f"{slug}_{name}", f"{title} {name}", unit, text, partial(_quantile, slug, q), (), slug
            )
        text = f"Completed requests of which the {title} is known"
        yield Metric(f"{slug}_n", f"{title} count", "requests", text, partial(_count, slug), (), slug)
    yield Metric(
        "usage_coverage_pct",
        "Usage coverage",
        "%",
        "Share of the completed requests whose token counts the upstream reported",
        _coverage,
        ("completed", "completed_reported"),
    )


CATALOG: Final[dict[str, Metric]] = {metric.slug: metric for metric in _entries()}
"""By slug, in the order they are listed."""

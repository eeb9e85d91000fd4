"""A breakdown as the numbers of a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.reports.requests import DEMO_PROVIDER

if TYPE_CHECKING:
    from weir.metrics_api.metrics.aggregate import Breakdown

_PLAIN: Final = (
    "requests", "errors", "error_rate_pct", "req_rate",
    "tokens_input", "tokens_output", "tokens_cache_read", "tokens_cache_write", "tokens_reasoning",
    "token_rate_in", "token_rate_out", "usage_coverage_pct",
)  # fmt: skip
_DISTRIBUTIONS: Final = {"ttft_ms": "ttft", "latency_ms": "latency", "tokens_per_second": "tokens_per_second"}
_PARTS: Final = ("p50", "p95", "p99", "n")


def totals(of: Breakdown, seconds: float) -> dict[str, Any]:
    """Everything a summary says of one group over a stretch of time."""
    aggregate = of.aggregate
    found: dict[str, Any] = {slug: CATALOG[slug].compute(aggregate, seconds) for slug in _PLAIN}
    for name, slug in _DISTRIBUTIONS.items():
        found[name] = {part: CATALOG[f"{slug}_{part}"].compute(aggregate, seconds) for part in _PARTS}
    return {
        **found,
        "outcomes": of.outcomes,
        "status_classes": dict(sorted(of.status_classes.items())),
        "request_bytes": aggregate.sums.request_bytes,
        "response_bytes": aggregate.sums.response_bytes,
        "cost_usd": None,
        "cost_status": "free" if of.providers == {DEMO_PROVIDER} else "unpriced",
    }

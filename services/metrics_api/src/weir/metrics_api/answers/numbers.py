"""Numbers over time: summary, series, and the catalogue of metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weir.metrics_api.answers.answer import Answer

Source = Literal["rollup_5s", "rollup_1m", "rollup_1h", "rollup_1d", "rows"]


class Percentiles(Answer):
    """Percentiles from merged histograms, true to 1 %. Null where `n` is 0."""

    p50: float | None
    p95: float | None
    p99: float | None
    n: int = Field(description="How many values they are of.")


class Totals(Answer):
    """What requests add up to over a stretch of time. Percentiles are of completed requests."""

    requests: int = Field(description="Accepted requests, whatever became of them.")
    errors: int = Field(description="Of these upstream_error, timeout, truncated or internal_error.")
    error_rate_pct: float | None = Field(description="Null without requests.")
    outcomes: dict[str, int] = Field(description="Requests by outcome; only those that occurred.")
    status_classes: dict[str, int] = Field(description="Requests by class of status: `2xx` … `5xx`.")
    req_rate: float = Field(description="Requests per second.")
    tokens_input: int | None = Field(description="Null when there were requests and none had the number.")
    tokens_output: int | None
    tokens_cache_read: int | None
    tokens_cache_write: int | None
    tokens_reasoning: int | None
    token_rate_in: float | None = Field(description="Input tokens per second.")
    token_rate_out: float | None = Field(description="Output tokens per second.")
    ttft_ms: Percentiles = Field(description="Time to first token.")
    latency_ms: Percentiles = Field(description="Accepted to last byte.")
    tokens_per_second: Percentiles = Field(description="Output speed of single requests.")
    usage_coverage_pct: float | None = Field(description="Completed requests with reported token counts.")
    cost_usd: float | None
    cost_status: Literal["priced", "unpriced", "free", "partial"]
    request_bytes: int
    response_bytes: int


class Slice(Answer):
    """One of 30 equal slices of the range."""

    requests: int
    errors: int


class Group(Totals):
    """The totals of the requests that share a value."""

    key: dict[str, str | int | bool | None] = Field(
        description="The dimension and its value. `other: true` for all groups beyond the hundredth."
    )
    provider: str | None = Field(description="Where all requests have the same one.")
    share_pct: float = Field(description="Share of all requests.")
    strip: list[Slice | None] = Field(description="30 slices of the range; null without traffic.")


class Summary(Answer):
    """Totals of a range, of the one before, and by group."""

    from_: int = Field(
        alias="from",
        description="Start of the oldest bucket counted, Unix ms; it may be before what was asked.",
    )
    to: int = Field(description="Unix ms.")
    source: Source = Field(description="The coarsest roll-ups read; `rows` where they lack a dimension.")
    complete: bool = Field(description="False when there were more rows than one answer may read.")
    total: Totals
    previous: Totals = Field(description="The same length directly before.")
    groups: list[Group] = Field(description="By requests, largest first.")
    last_request_at: int | None = Field(description="Newest request of the filters at any time, Unix ms.")


class Series(Answer):
    """Metrics over time, columnar."""

    t0: int = Field(description="Start of the first bucket, Unix ms.")
    step: int = Field(description="Width of a bucket, ms.")
    source: Source
    complete: bool
    complete_until: int = Field(description="Buckets that end later are still filling, Unix ms.")
    series: dict[str, dict[str, list[float | None]]] = Field(
        description="By metric and group (`all` without `by`, `other` for the groups beyond the twelfth, the "
        "empty string for requests without a value): one number a bucket. Counts of nothing are 0, "
        "percentiles null."
    )


class Metric(Answer):
    """One entry of the catalogue."""

    slug: str = Field(description="Its name in `metrics=`.")
    title: str
    unit: str
    description: str


class Catalog(Answer):
    """Every metric."""

    metrics: list[Metric]

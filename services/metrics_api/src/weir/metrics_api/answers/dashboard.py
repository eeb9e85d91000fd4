"""The live dashboard's contract: snapshots, status, configuration."""

from __future__ import annotations

from pydantic import Field

from weir.metrics_api.answers.answer import Answer


class MetricSnapshot(Answer):
    """One variant at the end of one bucket.

    Counters run since first use; rates, percentiles and averages are of the bucket, null of nothing.
    """

    timestamp: int = Field(description="Start of the bucket, Unix ms.")
    variant: str
    requests_2xx: int
    requests_4xx: int
    requests_5xx: int
    tokens_input: int
    tokens_output: int
    tokens_cache_read: int
    tokens_cache_write: int
    concurrent_requests: int | None = Field(description="In flight; null while no proxy reports.")
    max_workers: int | None = Field(description="The limit of requests in flight.")
    rate_limit_rps: float | None
    rate_limit_rejections: int
    rate_limit_adj_increase: int
    rate_limit_adj_decrease: int
    upstream_errors: int
    retry_attempts: int
    latency_p50: float | None = Field(description="ms")
    latency_p95: float | None = Field(description="ms")
    latency_p99: float | None = Field(description="ms")
    request_size_avg: float | None = Field(description="bytes")
    response_size_avg: float | None = Field(description="bytes")
    token_rate_in: float = Field(description="tokens/s")
    token_rate_out: float = Field(description="tokens/s")
    token_rate_cache_read: float = Field(description="tokens/s")
    token_rate_cache_write: float = Field(description="tokens/s")
    req_rate: float = Field(description="requests/s")
    error_rate_pct: float | None
    worker_utilization: float | None = Field(description="In flight over the limit, 0 to 1.")
    status_code_rates: dict[str, float] = Field(description="Requests per second by status code.")


class VariantStatus(Answer):
    """A variant over the last minute."""

    healthy: bool = Field(description="Fewer than 5 % errors, or no traffic.")
    last_scrape: int | None = Field(description="Newest bucket in that minute, Unix ms.")
    req_rate: float = Field(description="requests/s")
    error_rate_pct: float | None
    latency_p50_ms: float | None
    concurrent: int | None = Field(description="In flight; null while no proxy reports.")
    worker_utilization: float | None = Field(description="0 to 1")
    rate_limit_rps: float | None
    token_rate_in: float = Field(description="tokens/s")
    token_rate_out: float = Field(description="tokens/s")


class Target(Answer):
    """A Prometheus endpoint that is scraped."""

    url: str
    variant: str
    healthy: bool | None = Field(description="Null before the first try.")
    last_scrape: int | None = Field(description="Unix ms.")
    duration_ms: float | None
    samples: int | None
    error: str | None


class Retention(Answer):
    """Seconds that data is kept."""

    fine: float = Field(alias="5s")
    coarse: float = Field(alias="1m")


class Configuration(Answer):
    """What this metrics API does."""

    scrape_interval: float = Field(description="Seconds.")
    targets: list[Target]
    version: str
    retention: Retention
    database: str = Field(description="`sqlite` or `postgres`.")
    percentile_error_pct: float = Field(description="The error that percentiles may have.")

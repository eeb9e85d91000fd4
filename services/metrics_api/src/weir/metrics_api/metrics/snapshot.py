"""The MetricSnapshot: what one variant did in one bucket, with running totals since first use."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from weir.events import ERROR_OUTCOMES, Outcome
from weir.metrics_api.metrics.dimension import status_class
from weir.metrics_api.metrics.histogram import Histogram
from weir.metrics_api.metrics.metric import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.metrics_api.metrics.dimension import Dimensions
    from weir.metrics_api.metrics.measure import Cell

UPSTREAM_FAULTS: Final = frozenset({Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT, Outcome.TRUNCATED})


class Totals(NamedTuple):
    """The counters of a snapshot that run on for ever."""

    requests_2xx: int = 0
    requests_4xx: int = 0
    requests_5xx: int = 0
    tokens_input: int = 0
    tokens_output: int = 0
    tokens_cache_read: int = 0
    tokens_cache_write: int = 0
    rate_limit_rejections: int = 0
    upstream_errors: int = 0
    retry_attempts: int = 0

    def plus(self, other: Totals) -> Totals:
        return Totals(*map(int.__add__, self, other))

    def minus(self, other: Totals) -> Totals:
        return Totals(*map(int.__sub__, self, other))


NO_TOTALS: Final = Totals()


@dataclass(slots=True)
class Delta:
    """What happened in one bucket to one variant."""

    totals: Totals = NO_TOTALS
    requests: int = 0
    errors: int = 0
    request_bytes: int = 0
    request_bytes_n: int = 0
    response_bytes: int = 0
    response_bytes_n: int = 0
    latency: Histogram = field(default_factory=Histogram)
    status_codes: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, dimensions: Dimensions, cell: Cell) -> None:
        """Count a roll-up cell of this bucket and variant in."""
        sums, outcome, status = cell.sums, dimensions.outcome, dimensions.status_code
        family = status_class(status)
        refused = outcome == Outcome.REJECTED and status == HTTPStatus.TOO_MANY_REQUESTS
        self.requests += sums.requests
        self.request_bytes += sums.request_bytes
        self.request_bytes_n += sums.request_bytes_n
        self.response_bytes += sums.response_bytes
        self.response_bytes_n += sums.response_bytes_n
        self.totals = self.totals.plus(
            Totals(
                requests_2xx=sums.requests if family == "2xx" else 0,
                requests_4xx=sums.requests if family == "4xx" else 0,
                requests_5xx=sums.requests if family == "5xx" else 0,
                tokens_input=sums.prompt_tokens,
                tokens_output=sums.completion_tokens,
                tokens_cache_read=sums.cache_read_tokens,
                tokens_cache_write=sums.cache_write_tokens,
                rate_limit_rejections=sums.requests if refused else 0,
                upstream_errors=sums.requests if outcome in UPSTREAM_FAULTS else 0,
                retry_attempts=sums.retries,
            )
        )
        if outcome in ERROR_OUTCOMES:
            self.errors += sums.requests
        if outcome == Outcome.COMPLETED:
            self.latency += cell.distributions.latency
        if status is not None:
            code = str(status)
            self.status_codes[code] = self.status_codes.get(code, 0) + sums.requests

    def absorb(self, other: Delta) -> None:
        """Count what happened in another bucket in."""
        self.totals = self.totals.plus(other.totals)
        self.requests += other.requests
        self.errors += other.errors
        self.request_bytes += other.request_bytes
        self.request_bytes_n += other.request_bytes_n
        self.response_bytes += other.response_bytes
        self.response_bytes_n += other.response_bytes_n
        self.latency += other.latency
        for code, count in other.status_codes.items():
            self.status_codes[code] = self.status_codes.get(code, 0) + count


def coarsen(found: Mapping[tuple[int, str], Delta], step: int) -> dict[tuple[int, str], Delta]:
    """The same in wider buckets."""
    wider: dict[tuple[int, str], Delta] = {}
    for (bucket, variant), delta in found.items():
        wider.setdefault((bucket - bucket % step, variant), Delta()).absorb(delta)
    return wider


def deltas(cells: Mapping[tuple[int, Dimensions], Cell]) -> dict[tuple[int, str], Delta]:
    """The same cells by bucket and variant."""
    found: dict[tuple[int, str], Delta] = {}
    for (bucket, dimensions), cell in cells.items():
        found.setdefault((bucket, dimensions.variant), Delta()).add(dimensions, cell)
    return found


class Counted(Protocol):
    """What was counted in a bucket, percentiles (ms) included."""

    @property
    def totals(self) -> Totals: ...
    @property
    def requests(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def request_bytes(self) -> int: ...
    @property
    def request_bytes_n(self) -> int: ...
    @property
    def response_bytes(self) -> int: ...
    @property
    def response_bytes_n(self) -> int: ...
    @property
    def latency_p50(self) -> float | None: ...
    @property
    def latency_p95(self) -> float | None: ...
    @property
    def latency_p99(self) -> float | None: ...
    @property
    def status_codes(self) -> Mapping[str, int]: ...


class Rates(msgspec.Struct, frozen=True):
    """What a snapshot says of its bucket alone."""

    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    request_size_avg: float | None
    response_size_avg: float | None
    token_rate_in: float
    token_rate_out: float
    token_rate_cache_read: float
    token_rate_cache_write: float
    req_rate: float
    error_rate_pct: float | None
    status_code_rates: dict[str, float]


def rates_of(counted: Counted, seconds: int) -> Rates:
    totals = counted.totals
    return Rates(
        counted.latency_p50,
        counted.latency_p95,
        counted.latency_p99,
        _average(counted.request_bytes, counted.request_bytes_n),
        _average(counted.response_bytes, counted.response_bytes_n),
        totals.tokens_input / seconds,
        totals.tokens_output / seconds,
        totals.tokens_cache_read / seconds,
        totals.tokens_cache_write / seconds,
        counted.requests / seconds,
        percent(counted.errors, counted.requests),
        {code: count / seconds for code, count in counted.status_codes.items()},
    )


def _average(total: int, n: int) -> float | None:
    return total / n if n else None


def utilization(in_flight: int | None, limit: int | None) -> float | None:
    """Requests in flight over their limit; None while no proxy reports."""
    return None if in_flight is None or not limit else in_flight / limit


class MetricSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One variant at the end of one bucket.

    Counters run since first use; rates and percentiles are of the bucket. What is not known is None:
    `rate_limit_rps` while there is no rate limit, gauges while no proxy reports, percentiles and averages
    of nothing.
    """

    timestamp: int
    """Start of the bucket, Unix ms."""
    variant: str
    requests_2xx: int
    requests_4xx: int
    requests_5xx: int
    tokens_input: int
    tokens_output: int
    tokens_cache_read: int
    tokens_cache_write: int
    concurrent_requests: int | None
    max_workers: int | None
    rate_limit_rps: float | None = None
    rate_limit_rejections: int
    rate_limit_adj_increase: int = 0
    rate_limit_adj_decrease: int = 0
    upstream_errors: int
    retry_attempts: int
    latency_p50: float | None
    latency_p95: float | None
    latency_p99: float | None
    request_size_avg: float | None
    response_size_avg: float | None
    token_rate_in: float
    token_rate_out: float
    token_rate_cache_read: float
    token_rate_cache_write: float
    req_rate: float
    error_rate_pct: float | None
    worker_utilization: float | None
    status_code_rates: dict[str, float]

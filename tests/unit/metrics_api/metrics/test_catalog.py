from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import make_event

from weir.events import Outcome, RequestEvent, UsageSource
from weir.metrics_api.metrics.aggregate import Aggregate, Breakdown
from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.metrics.fates import fates_of
from weir.metrics_api.metrics.measure import NO_DISTRIBUTIONS, Cell, Distributions
from weir.metrics_api.metrics.rollup import fold
from weir.metrics_api.storage.port import MEASURES

if TYPE_CHECKING:
    from weir.metrics_api.metrics.fates import Fates
    from weir.metrics_api.metrics.measure import Sums
    from weir.metrics_api.metrics.metric import Metric


def breakdown(*events: RequestEvent) -> Breakdown:
    found = Breakdown()
    for (_, dimensions), (sums, distributions) in fold(events).items():
        timed = distributions if dimensions.outcome == Outcome.COMPLETED else NO_DISTRIBUTIONS
        found.add(
            Cell(sums, timed), fates_of(dimensions.outcome, sums),
            dimensions.outcome, dimensions.status_code, dimensions.provider,
        )  # fmt: skip
    return found


def aggregate(*events: RequestEvent) -> Aggregate:
    return breakdown(*events).aggregate


TRAFFIC = aggregate(
    make_event(prompt_tokens=100, completion_tokens=50, duration_ms=1000.0, time_to_first_token_ms=100.0,
               time_to_last_token_ms=1100.0, cache_read_tokens=None),
    make_event(prompt_tokens=300, completion_tokens=None, duration_ms=2000.0, time_to_first_token_ms=200.0,
               cache_read_tokens=None),
    make_event(usage_source=UsageSource.MISSING, prompt_tokens=None, completion_tokens=None,
               cache_read_tokens=None, duration_ms=3000.0, time_to_first_token_ms=None),
    make_event(outcome=Outcome.TIMEOUT, status_code=504, duration_ms=60_000.0, prompt_tokens=None,
               completion_tokens=None, cache_read_tokens=None, usage_source=UsageSource.MISSING),
)  # fmt: skip


@pytest.mark.parametrize(
    ("slug", "expected"),
    [
        ("requests", 4),
        ("errors", 1),
        ("req_rate", 0.4),
        ("error_rate_pct", 25.0),
        ("tokens_input", 400),
        ("tokens_output", 50),
        ("tokens_cache_read", None),
        ("tokens_cache_write", None),
        ("tokens_reasoning", None),
        ("token_rate_in", 40.0),
        ("token_rate_out", 5.0),
        ("ttft_p50", 100),
        ("ttft_p95", 200),
        ("ttft_p99", 200),
        ("ttft_n", 2),
        ("latency_p50", 2000),
        ("latency_p95", 3000),
        ("latency_p99", 3000),
        ("latency_n", 3),
        ("tokens_per_second_p50", 49),
        ("tokens_per_second_p95", 49),
        ("tokens_per_second_p99", 49),
        ("tokens_per_second_n", 1),
        ("usage_coverage_pct", 200 / 3),
    ],
)
def test_formula(slug: str, expected: Any) -> None:
    value = CATALOG[slug].compute(TRAFFIC, 10)
    assert value == expected if expected is None else value == pytest.approx(expected, rel=0.01)


def test_every_metric_has_a_formula_test() -> None:
    marks: list[Any] = test_formula.pytestmark  # pyright: ignore[reportFunctionMemberAccess] - set by pytest
    assert {slug for slug, _ in marks[0].args[1]} == set(CATALOG)


@pytest.mark.parametrize("slug", CATALOG)
def test_of_nothing_counts_are_zero_and_shares_and_percentiles_unknown(slug: str) -> None:
    metric = CATALOG[slug]
    value = metric.compute(Aggregate(), 10)
    unknown = metric.unit == "%" or slug.rpartition("_")[2] in {"p50", "p95", "p99"}
    assert value is None if unknown else value == 0


@pytest.mark.parametrize("slug", CATALOG)
def test_every_metric_says_what_it_is(slug: str) -> None:
    metric = CATALOG[slug]
    assert metric.slug == slug
    assert metric.title
    assert not metric.description[0].islower()


@pytest.mark.parametrize("slug", CATALOG)
def test_a_metric_needs_no_more_than_it_says(slug: str) -> None:
    """A question for it asks the store for nothing else."""
    metric = CATALOG[slug]
    known = TRAFFIC.distributions
    asked = Aggregate(
        TRAFFIC.sums._make(_only(TRAFFIC.sums, metric)),
        TRAFFIC.fates._make(_only(TRAFFIC.fates, metric)),
        Distributions(**{metric.distribution: getattr(known, metric.distribution)})
        if metric.distribution
        else NO_DISTRIBUTIONS,
    )
    assert metric.compute(asked, 10) == metric.compute(TRAFFIC, 10)
    assert set(metric.measures) <= set(MEASURES)


def _only(values: Sums | Fates, metric: Metric) -> list[int]:
    return [
        value if name in metric.measures else 0 for name, value in zip(values._fields, values, strict=True)
    ]


def test_absorbing_is_adding() -> None:
    one, two = breakdown(make_event(), make_event(model=None)), breakdown(make_event())
    both = Breakdown()
    both.absorb(one)
    both.absorb(two)
    assert both.aggregate.sums.requests == 3
    assert both.aggregate.fates.completed == 3
    assert both.outcomes == {"completed": 3}
    assert both.status_classes == {"2xx": 3}
    assert both.aggregate.distributions.latency.n == 3

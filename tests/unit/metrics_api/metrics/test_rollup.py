from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import MOMENT, make_event

from weir.events import Outcome, RequestEvent, UsageSource
from weir.metrics_api.metrics.measure import tokens_per_second
from weir.metrics_api.metrics.rollup import coarsen, dimensions_of, fold
from weir.metrics_api.metrics.snapshot import deltas

if TYPE_CHECKING:
    from weir.metrics_api.metrics.rollup import Cells


@st.composite
def events(draw: st.DrawFn) -> RequestEvent:
    return make_event(
        started_at=MOMENT + draw(st.integers(0, 600)) * 1_000_000,
        model=draw(st.sampled_from(["a", "b", None])),
        variant=draw(st.sampled_from(["production", "canary", None])),
        outcome=draw(st.sampled_from(list(Outcome))),
        status_code=draw(st.sampled_from([200, 404, 502, None])),
        prompt_tokens=draw(st.one_of(st.none(), st.integers(0, 1000))),
        duration_ms=draw(st.one_of(st.none(), st.floats(0, 1e5))),
    )


@given(st.lists(events(), max_size=30), st.integers(0, 30))
def test_any_split_into_batches_gives_the_same_cells(found: list[RequestEvent], split: int) -> None:
    assert _sum(fold(found[:split]), fold(found[split:])) == fold(found)
    assert fold(list(reversed(found))) == fold(found)


@given(st.lists(events(), max_size=30))
def test_coarser_buckets_are_sums_of_finer_ones(found: list[RequestEvent]) -> None:
    assert coarsen(fold(found, 5), 60) == fold(found, 60)
    assert coarsen(fold(found, 60), 3600) == fold(found, 3600)


@given(st.lists(events(), max_size=30))
def test_every_request_is_in_one_snapshot(found: list[RequestEvent]) -> None:
    by_variant = deltas(fold(found))
    assert sum(delta.requests for delta in by_variant.values()) == len(found)
    with_status = sum(event.status_code is not None for event in found)
    assert sum(sum(delta.status_codes.values()) for delta in by_variant.values()) == with_status


def test_an_event_counts_in_the_bucket_of_its_own_start() -> None:
    late = make_event(started_at=1_700_000_004_999_999)
    assert {bucket for bucket, _ in fold([late])} == {1_700_000_000}
    assert {bucket for bucket, _ in fold([make_event(started_at=1_700_000_005_000_000)])} == {1_700_000_005}


def test_unknown_is_not_zero() -> None:
    found = [make_event(prompt_tokens=None), make_event(prompt_tokens=0), make_event(prompt_tokens=7)]
    (cell,) = fold(found).values()
    assert (cell.sums.requests, cell.sums.prompt_tokens, cell.sums.prompt_tokens_n) == (3, 7, 2)


def test_a_request_without_variant_or_answered_model_is_filed_all_the_same() -> None:
    dimensions = dimensions_of(make_event(variant=None, model=None, model_requested="asked"))
    assert (dimensions.variant, dimensions.model) == ("production", "asked")


def test_usage_reported_counts_records_with_reported_usage() -> None:
    found = [make_event(), make_event(usage_source=UsageSource.MISSING)]
    (cell,) = fold(found).values()
    assert cell.sums.usage_reported == 1


def test_tokens_per_second_leaves_the_prompt_and_the_first_token_out() -> None:
    event = make_event(completion_tokens=101, time_to_first_token_ms=500.0, time_to_last_token_ms=1500.0)
    assert tokens_per_second(event) == 100.0
    for missing in (
        {"completion_tokens": 1},
        {"completion_tokens": None},
        {"time_to_first_token_ms": None},
        {"time_to_last_token_ms": 500.0, "time_to_first_token_ms": 500.0},
    ):
        assert tokens_per_second(make_event(**missing)) is None


def test_the_first_token_is_that_of_streams() -> None:
    found = [
        make_event(time_to_first_token_ms=100.0),
        make_event(time_to_first_token_ms=9_000.0, stream=False),
        make_event(time_to_first_token_ms=None),
    ]
    assert [cell.distributions.ttft.n for cell in fold(found).values()] == [1, 0]


def test_snapshots_count_faults_and_refusals() -> None:
    found = [
        make_event(outcome=Outcome.UPSTREAM_ERROR, status_code=502, retries=2),
        make_event(outcome=Outcome.TIMEOUT, status_code=504),
        make_event(outcome=Outcome.INTERNAL_ERROR, status_code=500),
        make_event(outcome=Outcome.REJECTED, status_code=429),
        make_event(outcome=Outcome.CLIENT_ERROR, status_code=429),
        make_event(outcome=Outcome.CANCELLED, status_code=None),
        make_event(),
    ]
    (delta,) = deltas(fold(found)).values()
    assert (delta.requests, delta.errors) == (7, 3)
    assert delta.totals.upstream_errors == 2
    assert delta.totals.rate_limit_rejections == 1
    assert delta.totals.retry_attempts == 2
    totals = delta.totals
    assert (totals.requests_2xx, totals.requests_4xx, totals.requests_5xx) == (1, 2, 3)
    assert delta.status_codes == {"200": 1, "429": 2, "500": 1, "502": 1, "504": 1}
    assert delta.latency.n == 1, "only completed requests tell the latency"


def _sum(one: Cells, other: Cells) -> Cells:
    found = dict(one)
    for key, cell in other.items():
        found[key] = found[key].plus(cell) if key in found else cell
    return found

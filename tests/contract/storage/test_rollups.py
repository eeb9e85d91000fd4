from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.support.builders import MOMENT, make_event
from tests.support.traffic import event as plausible

from weir.events import ERROR_OUTCOMES
from weir.metrics_api.metrics.fates import Fates
from weir.metrics_api.metrics.histogram import Histogram
from weir.metrics_api.metrics.measure import Cell, Distributions, Sums
from weir.metrics_api.metrics.rollup import dimensions_of, measure
from weir.metrics_api.metrics.snapshot import Totals, rates_of
from weir.metrics_api.reports.filter import matches
from weir.metrics_api.reports.requests import document
from weir.metrics_api.storage.port import Filter, Gauges, RollupQuestion, RowQuestion, Segment, Window

if TYPE_CHECKING:
    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Level, RollupAnswer, SnapshotLevel, Store

SECOND = 1_000_000
FROM = MOMENT // SECOND // 3600 * 3600
EVER: dict[Level, Segment] = {
    "5s": Segment("5s", 0, 1 << 32),
    "1m": Segment("1m", 0, 1 << 32),
    "1h": Segment("1h", 0, 1 << 32),
    "1d": Segment("1d", 0, 1 << 32),
}
LEVELS: list[Level] = ["5s", "1m", "1h", "1d"]


def traffic(count: int = 400, seed: int = 7) -> list[RequestEvent]:
    source = random.Random(seed)  # noqa: S311 - made-up traffic
    return [plausible((FROM + source.randrange(7200)) * SECOND + i, source) for i in range(count)]


def expected(events: list[RequestEvent], group_by: tuple[str, ...]) -> dict[tuple[object, ...], Cell]:
    groups: dict[tuple[object, ...], list[RequestEvent]] = {}
    for event in events:
        dimensions = dimensions_of(event)
        groups.setdefault(tuple(getattr(dimensions, name) for name in group_by), []).append(event)
    return {group: measure(members) for group, members in groups.items()}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "group_by", [(), ("model",), ("outcome", "status_code"), ("variant", "upstream", "project")]
)
async def test_rollups_are_the_sums_of_the_rows(
    store: Store, level: Level, group_by: tuple[str, ...]
) -> None:
    events = traffic()
    for start in range(0, len(events), 37):
        await store.add(events[start : start + 37])
        await store.add(events[max(0, start - 20) : start + 10])  # told twice
    answers = await store.rollups(
        RollupQuestion((EVER[level],), group_by=group_by, distributions=Distributions._fields)
    )
    assert {answer.group: answer.cell for answer in answers} == expected(events, group_by)


async def test_segments_of_different_levels_add_up(store: Store) -> None:
    events = traffic()
    await store.add(events)
    start, middle, end = FROM + 60, FROM + 3600, FROM + 7200
    question = RollupQuestion(
        (Segment("5s", start, start + 5), Segment("1m", FROM + 120, middle), Segment("1h", middle, end)),
        distributions=("latency",),
    )
    (answer,) = await store.rollups(question)
    inside = [
        e for e in events
        if start <= e.started_at / SECOND < start + 5 or FROM + 120 <= e.started_at / SECOND < end
    ]  # fmt: skip
    cell = measure(inside)
    assert answer.cell.sums == cell.sums
    assert answer.cell.distributions.latency == cell.distributions.latency
    assert answer.cell.distributions.ttft.n == 0, "not asked for"


@pytest.mark.parametrize("group_by", [(), ("model", "outcome"), ("project",)])
async def test_what_is_taken_away_leaves_the_rest(store: Store, group_by: tuple[str, ...]) -> None:
    """Of a group that was only in what is taken away, nothing but zeros is left."""
    events = traffic()
    await store.add(events)
    question = RollupQuestion(
        (
            Segment("1h", FROM, FROM + 7200),
            Segment("1m", FROM, FROM + 1320, -1),
            Segment("5s", FROM + 7000, FROM + 7200, -1),
        ),
        group_by=group_by,
        distributions=Distributions._fields,
    )
    answers = await store.rollups(question)
    inside = [e for e in events if FROM + 1320 <= e.started_at / SECOND < FROM + 7000]
    left = {answer.group: answer.cell for answer in answers if any(answer.cell.sums)}
    assert left == expected(inside, group_by)
    for answer in answers:
        assert answer.group in left or not any(each.n for each in answer.cell.distributions)


async def test_only_what_is_asked_for_is_added_up(store: Store) -> None:
    events = traffic()
    await store.add(events)
    asked = ("requests", "errors", "completed_reported")
    answers = await store.rollups(RollupQuestion((EVER["1m"],), group_by=("model",), measures=asked))
    cells = expected(events, ("model", "outcome"))
    for answer in answers:
        parts = {outcome: cell.sums for (model, outcome), cell in cells.items() if model == answer.group[0]}
        assert answer.cell.sums == Sums(requests=sum(each.requests for each in parts.values()))
        assert answer.fates == Fates(
            errors=sum(sums.requests for outcome, sums in parts.items() if outcome in ERROR_OUTCOMES),
            completed_reported=parts["completed"].usage_reported,
        )


async def test_histograms_may_be_asked_for_alone(store: Store) -> None:
    events = traffic()
    await store.add(events)
    times = Distributions._fields
    alone = await store.rollups(
        RollupQuestion((EVER["1m"],), group_by=("model",), slot=(FROM, 600), measures=(), distributions=times)
    )
    whole = await store.rollups(
        RollupQuestion((EVER["1m"],), group_by=("model",), slot=(FROM, 600), distributions=times)
    )
    assert {(a.slot, a.group): a.cell.distributions for a in alone} == {
        (a.slot, a.group): a.cell.distributions for a in whole
    }


async def test_slots_are_counted_from_the_origin(store: Store) -> None:
    events = [make_event(started_at=(FROM + second) * SECOND) for second in (0, 9, 10, 25, 25)]
    await store.add(events)
    question = RollupQuestion((Segment("5s", FROM, FROM + 30),), slot=(FROM, 10))
    answers = await store.rollups(question)
    assert {a.slot: a.cell.sums.requests for a in answers} == {0: 2, 1: 1, 2: 2}


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(model=("llama3.1:8b", "demo")),
        Filter(variant=("production",)),
        Filter(outcome=("timeout",), status_classes=(5,)),
        Filter(status_codes=(429,)),
        Filter(project=("search",), upstream=("gpu-1",)),
        Filter(model=("nothing",)),
    ],
)
async def test_filters_select_the_same_as_on_rows(store: Store, wanted: Filter) -> None:
    events = traffic()
    await store.add(events)
    answers = await store.rollups(RollupQuestion((EVER["1m"],), wanted, ("model",)))
    chosen = [event for event in events if matches(wanted, document(event))]
    assert {a.group: a.cell.sums for a in answers} == {
        group: cell.sums for group, cell in expected(chosen, ("model",)).items()
    }


@pytest.mark.parametrize(
    "group_by", [(), ("model",), ("outcome", "status_code", "provider"), ("variant", "project")]
)
async def test_rows_sum_up_to_what_rollups_say(store: Store, group_by: tuple[str, ...]) -> None:
    events = traffic()
    await store.add(events)
    every = Distributions._fields
    rows = await store.row_sums(
        RowQuestion(Window(0, 1 << 42), 1000, group_by=group_by, slot=(FROM, 600), distributions=every)
    )
    rollups = await store.rollups(
        RollupQuestion((EVER["1m"],), group_by=group_by, slot=(FROM, 600), distributions=every)
    )
    assert _by_group(rows) == _by_group(rollups)


async def test_times_of_rows_may_be_of_completed_ones_alone(store: Store) -> None:
    await store.add(traffic())
    ever, times = Window(0, 1 << 42), Distributions._fields
    rows = await store.row_sums(
        RowQuestion(ever, 1000, group_by=("model",), distributions=times, completed_times=True)
    )
    rollups = await store.rollups(
        RollupQuestion((EVER["1h"],), group_by=("model",), distributions=times, completed_times=True)
    )
    assert _by_group(rows) == _by_group(rollups)


def _by_group(answers: list[RollupAnswer]) -> dict[tuple[object, ...], tuple[object, ...]]:
    """Speeds differ in their last digits: rows hold µs."""
    return {
        (answer.slot, *answer.group): (
            answer.cell.sums, answer.cell.distributions.latency, answer.cell.distributions.ttft,
            answer.cell.distributions.tokens_per_second.n, answer.fates,
        )
        for answer in answers
    }  # fmt: skip


async def test_rows_are_summed_by_user_newest_first_within_bounds(store: Store) -> None:
    await store.add([make_event(started_at=MOMENT + i, user=["ada", "bob", None][i % 3]) for i in range(30)])
    ever = Window(0, 1 << 42)
    by_user = await store.row_sums(RowQuestion(ever, 100, group_by=("user",)))
    assert {a.group: a.cell.sums.requests for a in by_user} == {("ada",): 10, ("bob",): 10, (None,): 10}
    (ada,) = await store.row_sums(RowQuestion(ever, 100, Filter(user=("ada",))))
    assert ada.cell.sums.requests == 10
    (newest,) = await store.row_sums(RowQuestion(ever, 7))
    assert newest.cell.sums.requests == 7


async def test_rows_without_a_variant_are_of_production(store: Store) -> None:
    await store.add(
        [make_event(started_at=MOMENT + i, variant=[None, "production"][i % 2]) for i in range(4)]
    )
    question = RowQuestion(Window(0, 1 << 42), 100, group_by=("variant",), measures=("requests",))
    (answer,) = await store.row_sums(question)
    assert (answer.group, answer.cell.sums) == (("production",), Sums(requests=4))


async def test_no_segments_no_answers(store: Store) -> None:
    assert await store.rollups(RollupQuestion(())) == []


@pytest.mark.parametrize("level", ["5s", "1m"])
async def test_snapshots_and_totals_are_the_sums_of_the_rows(store: Store, level: SnapshotLevel) -> None:
    events = traffic()
    for start in range(0, len(events), 50):
        await store.add(events[start : start + 60])
    stored = await store.snapshots(level, 0)
    assert sum(row.requests for row in stored.rows) == len(events)
    assert sum(sum(row.status_codes.values()) for row in stored.rows) == sum(
        event.status_code is not None for event in events
    )
    assert [row.bucket for row in stored.rows] == sorted(row.bucket for row in stored.rows)
    for variant, totals in stored.totals.items():
        added = Totals()
        for row in stored.rows:
            if row.variant == variant:
                added = added.plus(row.totals)
        assert added == totals
    tokens = sum(event.prompt_tokens or 0 for event in events)
    assert sum(totals.tokens_input for totals in stored.totals.values()) == tokens


async def test_minutes_say_what_their_snapshots_say(store: Store) -> None:
    """However many batches they were counted in; what is not known as text comes as a whole, newest last."""
    events = traffic()
    for start in range(0, len(events), 50):
        await store.add(events[start : start + 60])
    await store.sample(FROM + 8000, {"production": Gauges(3, 10)})
    stored = await store.snapshots("1m", 0)
    for variant in (None, "canary"):
        found = await store.minutes(0, variant)
        assert found.totals == stored.totals
        whole = [row for row in stored.rows if variant in {None, row.variant}]
        assert found.after == whole[len(found.rows) :]
        for row, (bucket, name, *totals, in_flight, limit, rates) in zip(
            reversed(whole[: len(found.rows)]), found.rows, strict=True
        ):
            assert (bucket, name, Totals(*totals)) == (row.bucket, row.variant, row.totals)
            assert (in_flight, limit) == (row.concurrent_requests, row.max_workers)
            assert rates == (msgspec.json.encode(rates_of(row, 60)).decode()[1:-1] if row.requests else "")
        assert len(found.rows) == len(whole)


async def test_percentiles_of_a_snapshot_follow_every_batch(store: Store) -> None:
    for duration in (100.0, 200.0, 300.0):
        await store.add([make_event(duration_ms=duration)])
    (row,) = (await store.snapshots("5s", 0)).rows
    assert row.latency_p50 == pytest.approx(200, rel=0.01)
    assert row.latency_p99 == pytest.approx(300, rel=0.01)


async def test_gauges_are_noted_beside_what_is_counted(store: Store) -> None:
    at = MOMENT // SECOND
    await store.add([make_event()])
    await store.sample(at, {"production": Gauges(3, 10), "canary": Gauges(0, 10)})
    await store.sample(at + 1, {"production": Gauges(5, 10)})
    rows = {row.variant: row for row in (await store.snapshots("5s", 0)).rows}
    assert (rows["production"].requests, rows["production"].concurrent_requests) == (1, 5)
    assert (rows["canary"].requests, rows["canary"].max_workers) == (0, 10)
    assert set((await store.snapshots("1m", 0)).totals) == {"production", "canary"}


async def test_old_buckets_go_a_few_at_a_time_and_totals_stay(store: Store) -> None:
    await store.add([make_event(started_at=(FROM + i * 5) * SECOND) for i in range(20)])
    before = FROM + 50
    assert [await store.expire("5s", before, at_most=4) for _ in range(4)] == [4, 4, 2, 0]
    answers = await store.rollups(RollupQuestion((EVER["5s"],)))
    assert sum(answer.cell.sums.requests for answer in answers) == 10
    stored = await store.snapshots("5s", 0)
    assert {row.bucket for row in stored.rows} == {FROM + 5 * i for i in range(10, 20)}
    assert stored.totals["production"].requests_2xx == 20
    hours = await store.rollups(RollupQuestion((EVER["1h"],)))
    assert sum(answer.cell.sums.requests for answer in hours) == 20


@pytest.mark.parametrize("group_by", [("model", "outcome"), ("outcome", "upstream")])
async def test_a_stretch_of_hours_is_the_sum_of_its_requests(store: Store, group_by: tuple[str, ...]) -> None:
    """Whichever tables are read for it: hours at its ends and wider buckets between them, or hours alone."""
    start = FROM // 86400 * 86400
    source = random.Random(5)  # noqa: S311 - made-up traffic
    events = [plausible((start + source.randrange(86400)) * SECOND + i, source) for i in range(300)]
    for first in range(0, len(events), 90):
        await store.add(events[first : first + 90])
    segment = Segment("1h", start + 4 * 3600, start + 21 * 3600)
    answers = await store.rollups(
        RollupQuestion((segment,), group_by=group_by, distributions=("latency",), completed_times=True)
    )
    inside = [e for e in events if segment.start <= e.started_at / SECOND < segment.end]
    cells = expected(inside, group_by)
    assert {answer.group: answer.cell.sums for answer in answers} == {g: c.sums for g, c in cells.items()}
    outcome = group_by.index("outcome")
    for answer in answers:
        times = (
            cells[answer.group].distributions.latency if answer.group[outcome] == "completed" else Histogram()
        )
        assert answer.cell.distributions.latency == times


async def test_old_minutes_go_from_brief_tables_too(store: Store) -> None:
    await store.add([make_event(started_at=(FROM + i * 60) * SECOND) for i in range(10)])
    assert await store.expire("1m", FROM + 300, at_most=100) == 5
    for group_by in ((), ("project",)):
        answers = await store.rollups(RollupQuestion((EVER["1m"],), group_by=group_by))
        assert sum(answer.cell.sums.requests for answer in answers) == 5

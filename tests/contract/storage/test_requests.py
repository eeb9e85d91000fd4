from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.support.builders import MOMENT, make_event, make_request_id

from weir.events import Attempt, Outcome, RequestEvent, UsageSource
from weir.metrics_api.reports.filter import matches
from weir.metrics_api.reports.requests import document
from weir.metrics_api.storage.port import Filter, UnstorableRecordError, Window

if TYPE_CHECKING:
    from weir.metrics_api.storage.port import Store

ALWAYS = Window(0, 1 << 42)

FULL = RequestEvent(
    request_id=make_request_id(), proxy_id="p-1", started_at=MOMENT + 123_457, endpoint="chat.completions",
    outcome=Outcome.UPSTREAM_ERROR, client_request_id="client-1", upstream_request_id="up-1",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7", tenant="default",
    project="search", api_key_id="key-1", user="ada", provider="vllm", upstream="gpu-1", variant="canary",
    model_requested="m", model="m-2024", stream=False, metadata={"team": "Ä", "ticket": "7"}, status_code=502,
    error_type="reset",
    error_message="the upstream \x00 'closed'; drop table", finish_reason="length", retries=2,
    attempts=[Attempt(upstream="gpu-0", status=503, ms=12.5), Attempt(upstream="gpu-1", error="reset")],
    queue_ms=0.125, connect_ms=0.0, upstream_headers_ms=30.25, time_to_first_token_ms=40.001,
    time_to_first_answer_ms=55.5, time_to_last_token_ms=900.999, duration_ms=901.5, proxy_overhead_ms=0.333,
    max_token_gap_ms=99.0, prompt_tokens=10, completion_tokens=20, total_tokens=30, cache_read_tokens=4,
    cache_write_tokens=3, reasoning_tokens=7, usage_source=UsageSource.ESTIMATED, usage_raw={"audio": 5},
    request_bytes=100, response_bytes=200, content_chunks=20,
)  # fmt: skip
BARE = RequestEvent(
    request_id=make_request_id(), proxy_id="p", started_at=MOMENT, endpoint="x", outcome=Outcome.CANCELLED
)


async def all_of(store: Store, wanted: Filter | None = None) -> list[RequestEvent]:
    return list((await store.requests(ALWAYS, wanted or Filter(), limit=10_000)).events)


@pytest.mark.parametrize("event", [FULL, BARE])
async def test_a_record_comes_back_as_it_went_in(store: Store, event: RequestEvent) -> None:
    assert await store.add([event]) == [event]
    assert await store.request(event.request_id) == event
    assert await all_of(store) == [event]


def test_the_full_record_has_every_field_set() -> None:
    unset = {name for name, value in msgspec.structs.asdict(FULL).items() if value is None}
    assert unset == {"journal", "sequence"}, "a new field needs a column, or a place in this test"


async def test_the_same_records_again_change_nothing(store: Store) -> None:
    events = [make_event(started_at=MOMENT + i) for i in range(50)]
    assert await store.add(events) == events
    assert await store.add(events[10:30]) == []
    assert await store.add([*events[:5], *events[:5]]) == []
    assert len(await all_of(store)) == 50


async def test_new_names_beside_a_repeated_record_are_kept(store: Store) -> None:
    """After a restart of Redis old records come again, in one batch with new ones."""
    old = make_event(started_at=MOMENT, model="old")
    new = make_event(started_at=MOMENT + 1, model="new", upstream="new-upstream", endpoint="embeddings")
    newer = make_event(started_at=MOMENT + 2, model="newer", upstream="newer-upstream")
    await store.add([old])
    assert await store.add([new, old]) == [new]
    assert await store.add([newer]) == [newer]
    named = [(event.model, event.upstream, event.endpoint) for event in await all_of(store)]
    assert named == [(event.model, event.upstream, event.endpoint) for event in (newer, new, old)]


async def test_of_a_mixed_batch_only_what_is_new_is_returned(store: Store) -> None:
    events = [make_event(started_at=MOMENT + i) for i in range(6)]
    await store.add(events[::2])
    assert await store.add([*events, events[1]]) == events[1::2]
    assert len(await all_of(store)) == 6


async def test_a_record_counts_by_its_id_alone(store: Store) -> None:
    """A crashed proxy's second telling of the same request may say something else; the first one stands."""
    event = make_event()
    await store.add([event])
    told_again = msgspec.structs.replace(event, outcome=Outcome.INTERNAL_ERROR, started_at=MOMENT + 5_000_000)
    assert await store.add([told_again]) == []
    assert await all_of(store) == [await store.request(event.request_id)]


async def test_many_requests_of_one_microsecond_have_a_place_each(store: Store) -> None:
    """Also when the ends of their ids, which tell the places apart, are the same."""
    same_end = [make_request_id()[:-4] + "0001" for _ in range(20)]
    events = [make_event(request_id=request_id) for request_id in same_end]
    assert await store.add(events[:3]) == events[:3]
    assert await store.add(events) == events[3:]
    assert {event.request_id for event in await all_of(store)} == set(same_end)
    assert all(event.started_at == MOMENT for event in await all_of(store))


async def test_pages_are_newest_first_and_leave_nothing_out(store: Store) -> None:
    events = [make_event(started_at=MOMENT + i // 3) for i in range(100)]
    await store.add(events)
    found: list[RequestEvent] = []
    before: int | None = None
    while True:
        page = await store.requests(ALWAYS, Filter(), limit=7, before=before)
        found += page.events
        before = page.next_position
        if before is None:
            break
        await store.add(
            [make_event(started_at=MOMENT + 10_000 + len(found))]
        )  # newer ones do not shift pages
    assert {event.request_id for event in found} == {event.request_id for event in events}
    assert len(found) == 100
    moments = [event.started_at for event in found]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("wanted", [Filter(upstream=("rare",)), Filter(upstream=("rare",), user=("ada",))])
async def test_pages_of_what_is_rare_leave_nothing_out(store: Store, wanted: Filter) -> None:
    """Over many hours with nothing in most of them: other ways are taken than for what is frequent."""
    hour = 3_600_000_000
    common = [make_event(started_at=MOMENT + i * hour // 4) for i in range(200)]
    rare = [make_event(started_at=MOMENT + i * 7 * hour // 3, upstream="rare") for i in range(20)]
    await store.add([*common, *rare])
    found: list[RequestEvent] = []
    before: int | None = None
    while True:
        window = Window(MOMENT // 1000, (MOMENT + 40 * hour) // 1000)
        page = await store.requests(window, wanted, limit=3, before=before)
        found += page.events
        before = page.next_position
        if before is None:
            break
    inside = [event for event in rare if event.started_at < MOMENT + 40 * hour]
    assert [event.request_id for event in found] == [event.request_id for event in reversed(inside)]


async def test_a_window_includes_its_start_and_not_its_end(store: Store) -> None:
    ms = MOMENT // 1000
    await store.add([make_event(started_at=(ms + i) * 1000) for i in range(5)])
    page = await store.requests(Window(ms + 1, ms + 3), Filter(), limit=10)
    assert [event.started_at // 1000 - ms for event in page.events] == [2, 1]


FILTERS: list[dict[str, Any]] = [
    {"model": ("a",)}, {"model": ("a", "b")}, {"model": ("none",)}, {"variant": ("production",)},
    {"variant": ("canary",)}, {"variant": ("production", "canary")}, {"user": ("ada",)},
    {"outcome": ("completed",)}, {"outcome": ("timeout", "rejected")}, {"outcome": ("completed", "timeout")},
    {"project": ("p",)}, {"api_key_id": ("k",)}, {"upstream": ("up",)}, {"provider": ("vllm",)},
    {"endpoint": ("embeddings",)}, {"status_codes": (404,)}, {"status_classes": (5,)},
    {"status_classes": (2,)},
    {"status_codes": (200,), "status_classes": (4,)}, {"model": ("a",), "status_classes": (4, 5)},
]  # fmt: skip


@pytest.mark.parametrize("fields", FILTERS)
async def test_a_filter_finds_exactly_what_matches(store: Store, fields: dict[str, Any]) -> None:
    events = [
        make_event(
            started_at=MOMENT + i * 1000,
            model=[None, "a", "b", "c"][i % 4],
            model_requested=["a", "b"][i % 2],
            variant=[None, "production", "canary"][i % 3],
            user=[None, "ada", "bob"][i % 3],
            outcome=list(Outcome)[i % 8],
            status_code=[None, 200, 404, 502, 504, 429, 500][i % 7],
            project=[None, "p"][i % 2],
            api_key_id=[None, "k"][i % 5 == 0],
            upstream=[None, "up"][i % 2],
            provider=["vllm", "ollama"][i % 2],
            endpoint=["chat.completions", "embeddings"][i % 9 == 0],
        )
        for i in range(120)
    ]
    await store.add(events)
    wanted = Filter(**fields)
    expected = [event.request_id for event in reversed(events) if matches(wanted, document(event))]
    assert [event.request_id for event in await all_of(store, wanted)] == expected
    newest = next((e for e in reversed(events) if e.request_id in expected), None)
    assert await store.last_request_at(wanted) == (None if newest is None else newest.started_at // 1000)


async def test_what_cannot_be_stored_is_refused_whole(store: Store) -> None:
    bad = make_event(prompt_tokens=2**70)
    with pytest.raises(UnstorableRecordError):
        await store.add([make_event(), bad])
    assert await all_of(store) == []
    assert await store.add([make_event()]), "and the store goes on"


async def test_raw_usage_is_kept_only_where_it_says_more(store: Store) -> None:
    mapped = make_event(
        usage_raw={
            "prompt_tokens": 40, "completion_tokens": 101, "total_tokens": 141,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": None},
        }
    )  # fmt: skip
    more = make_event(usage_raw={"prompt_tokens": 40, "completion_tokens_details": {"audio_tokens": 3}})
    other = make_event(usage_raw={"prompt_tokens": 41})
    await store.add([mapped, more, other])
    kept = {e.request_id: e.usage_raw for e in await all_of(store)}
    assert kept == {
        mapped.request_id: None,
        more.request_id: more.usage_raw,
        other.request_id: other.usage_raw,
    }


async def test_an_unknown_id_is_no_request(store: Store) -> None:
    assert await store.request(make_request_id()) is None
    assert await store.request("not an id") is None
    assert await store.last_request_at(Filter()) is None


async def test_the_store_says_that_it_works(store: Store) -> None:
    await store.check()
    await store.tidy()

"""What a worker counts of its requests, and how many different labels it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.support.exchanges import knowing
from tests.support.measures import new_measures, new_table

from weir.events import Attempt, Outcome
from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.errors import KEPT_CONNECTION_CLOSED
from weir.proxy.exchange import AnswerFacts, Exchange, RequestFacts, RequestHead, Usage
from weir.proxy.metering.measures import cells
from weir.proxy.metering.measures import measures as module
from weir.proxy.metering.measures.labels import (
    EVERYTHING_ELSE,
    OTHER,
    Labels,
    ModelNames,
    all_causes,
    cause,
    named_models,
)
from weir.proxy.upstream import Upstream

if TYPE_CHECKING:
    from weir.proxy.metering.measures.table import Table

UPSTREAM = Upstream(name="gpu", url="http://h", provider="vllm", variant="canary")
HEAD = RequestHead(b"POST", b"/v1/chat/completions", b"", [], {}, 5, False, True, True)


def exchange(model: str | None = "llama3", *, answered: str | None = None, **known: Any) -> Exchange:
    """A completed request of two seconds, unless told otherwise; it began at 1.0."""
    nobody: Any = None
    values: dict[str, Any] = {
        "upstream": UPSTREAM,
        "outcome": Outcome.COMPLETED,
        "status_code": 200,
        "facts": RequestFacts(model=model),
        "answer": AnswerFacts(model=answered),
        **known,
    }
    return knowing(Exchange("id-1", HEAD, nobody, ENDPOINTS[0], 1, 1.0, 5), **values)


def counted(table: Table) -> dict[Labels, tuple[float, ...]]:
    return {msgspec.json.decode(text, type=Labels): totals for text, totals in table.read().series}


def count_one(request: Exchange, now: float = 3.0) -> tuple[Labels, tuple[float, ...]]:
    """Its labels and what it adds."""
    table = new_table()
    measures = new_measures(table)
    measures.observe(request, now, 1)
    measures.show()
    ((labels, totals),) = counted(table).items()
    return labels, totals


def buckets(totals: tuple[float, ...], histogram: cells.Histogram) -> dict[float, float]:
    """How many values are in each bucket that has some, by its upper bound."""
    bounds = (*histogram.bounds, float("inf"))
    counts = totals[histogram.at + 1 : histogram.end]
    return {bound: count for bound, count in zip(bounds, counts, strict=True) if count}


def test_a_plain_request() -> None:
    usage = Usage(100, 50, 150, 30, 10, 7)
    labels, totals = count_one(
        exchange(
            answered="llama3-8b",
            answer=AnswerFacts(model="llama3-8b", usage=usage, first_token_at=2.9, last_token_at=2.9),
            received_at=1.25,
            sent_at=1.75,
            connect_seconds=0.25,
            upstream_done_at=2.75,
        )
    )
    assert labels == Labels(
        *("chat.completions", "llama3", "llama3-8b", "canary", "gpu", "vllm", "2xx", "completed", "")
    )
    assert totals[cells.REQUESTS] == 1
    assert totals[cells.DURATION.at] == 2
    assert buckets(totals, cells.DURATION) == {2.56: 1}
    assert totals[cells.OVERHEAD.at] == 0.5, (
        "half a second less a quarter for connecting, and a quarter after"
    )
    assert totals[cells.INPUT.at] == 100
    assert buckets(totals, cells.INPUT) == {256: 1}
    assert totals[cells.OUTPUT.at] == 50
    sums = (cells.CACHE_READ, cells.CACHE_WRITE, cells.REASONING, cells.REUSE_LOST)
    assert [totals[one.at] for one in sums] == [30, 10, 7, 0]
    assert buckets(totals, cells.FIRST_TOKEN) == {}, "a plain answer has no first token of its own"


def test_a_stream() -> None:
    facts = RequestFacts(model="m", stream=True)
    answer = AnswerFacts(usage=Usage(4, 11, 15), first_token_at=1.5, last_token_at=2.5)
    _, totals = count_one(exchange(facts=facts, answer=answer))
    assert totals[cells.FIRST_TOKEN.at] == 0.5
    assert buckets(totals, cells.FIRST_TOKEN) == {0.5: 1}, "a bound is in its bucket"
    assert totals[cells.PER_TOKEN.at] == pytest.approx(0.1)
    assert buckets(totals, cells.INPUT) == {4: 1}


@pytest.mark.parametrize("usage", [None, Usage(4, 1, 5), Usage(4, None, None)])
def test_a_stream_of_no_known_second_token_has_no_time_per_token(usage: Usage | None) -> None:
    facts = RequestFacts(stream=True)
    answer = AnswerFacts(usage=usage, first_token_at=1.5, last_token_at=1.5, content_chunks=9)
    _, totals = count_one(exchange(facts=facts, answer=answer))
    assert buckets(totals, cells.PER_TOKEN) == {}
    assert totals[cells.OUTPUT.at] in {0, 1}, "chunks are not tokens"


def test_nothing_is_counted_of_what_is_not_known() -> None:
    labels, totals = count_one(
        exchange(None, upstream=None, status_code=None, outcome=Outcome.CANCELLED, error_type="client_left")
    )
    assert labels == Labels("chat.completions", "", "", "", "", "", "", "cancelled", "")
    assert [sum(totals[one.at + 1 : one.end]) for one in (cells.OVERHEAD, cells.INPUT, cells.OUTPUT)] == [
        0
    ] * 3


def test_kept_connections_that_were_lost() -> None:
    attempts = [Attempt(upstream="gpu", error=KEPT_CONNECTION_CLOSED)] * 2 + [Attempt(upstream="gpu")]
    assert count_one(exchange(attempts=attempts))[1][cells.REUSE_LOST.at] == 2


@pytest.mark.parametrize(
    ("outcome", "error_type", "status", "word"),
    [
        (Outcome.COMPLETED, None, 200, ""),
        (Outcome.CLIENT_ERROR, "rate_limit", 429, ""),
        (Outcome.REJECTED, "upstream_timeout", 400, ""),
        (Outcome.UPSTREAM_ERROR, "upstream_unreachable", 502, "unreachable"),
        (Outcome.TIMEOUT, "upstream_timeout", 504, "timeout"),
        (Outcome.TRUNCATED, "stream_ended_early", 200, "ended_early"),
        (Outcome.UPSTREAM_ERROR, "their own words", 503, "status_5xx"),
        (Outcome.UPSTREAM_ERROR, "their own words", 200, "error_event"),
        (Outcome.TRUNCATED, "their own words", None, OTHER),
    ],
)
def test_causes(outcome: Outcome, error_type: str | None, status: int | None, word: str) -> None:
    assert cause(outcome, error_type, status) == word
    assert word in {"", *all_causes()}


class TestModels:
    def shown(self, *requests: Exchange, most: int = 2, models: tuple[str, ...] = ()) -> dict[str, float]:
        """How many requests were counted under each name."""
        table = new_table()
        measures = new_measures(table, most=most, models=models)
        for request in requests:
            measures.observe(request, 3.0, 1)
        measures.show()
        found: dict[str, float] = {}
        for labels, totals in counted(table).items():
            found[labels.model] = found.get(labels.model, 0) + totals[cells.REQUESTS]
        return found

    def test_what_was_answered_is_told_apart_up_to_the_bound(self) -> None:
        requests = [exchange(f"model-{number % 10}") for number in range(100)]
        assert self.shown(*requests) == {"model-0": 10, "model-1": 10, OTHER: 80}

    def test_ten_thousand_names_are_two_series(self) -> None:
        table = new_table()
        measures = new_measures(table, most=1)
        for number in range(10_000):
            measures.observe(exchange(f"model-{number}"), 3.0, 1)
        measures.show()
        assert [totals[cells.REQUESTS] for totals in counted(table).values()] == [1, 9999]
        assert len(measures._known) <= module._MOST_KEYS

    def test_names_that_were_never_answered_take_no_room(self) -> None:
        made_up = [
            exchange(f"made-up-{number}", outcome=Outcome.REJECTED, status_code=404, upstream=None)
            for number in range(50)
        ]
        assert self.shown(*made_up, exchange("true")) == {OTHER: 50, "true": 1}

    def test_a_model_that_fails_first_has_its_name_once_it_answers(self) -> None:
        failed = exchange("m", outcome=Outcome.UPSTREAM_ERROR, status_code=502)
        assert self.shown(failed, exchange("m"), failed) == {OTHER: 1, "m": 2}

    def test_a_configured_model_has_its_name_from_the_start(self) -> None:
        failed = exchange("m", outcome=Outcome.UPSTREAM_ERROR, status_code=502)
        assert self.shown(failed, models=("m",)) == {"m": 1}

    def test_a_model_that_is_configured_later(self) -> None:
        failed = exchange("m", outcome=Outcome.UPSTREAM_ERROR, status_code=502)
        table = new_table()
        measures = new_measures(table)
        measures.observe(failed, 3.0, 1)
        measures.admit_models(["m"])
        measures.observe(failed, 3.0, 2)
        measures.show()
        assert {labels.model for labels in counted(table)} == {OTHER, "m"}

    @pytest.mark.parametrize("name", ["x" * 129, "a\nb", "\ud800", "a\x00", OTHER, "\u202eevil"])
    def test_odd_names_are_other(self, name: str) -> None:
        assert self.shown(exchange(name)) == {OTHER: 1}

    def test_a_long_name_is_not_remembered(self) -> None:
        measures = new_measures()
        measures.observe(exchange("x" * 1_000_000), 3.0, 1)
        assert not measures._known

    def test_patterns_name_no_model(self) -> None:
        upstreams = [
            Upstream(name="a", url="http://h", models=("one", "qwen*", "m?"), rename={"pub": "own"}),
            Upstream(name="b", url="http://h"),
        ]
        assert list(named_models(upstreams)) == ["one", "pub", "own"]

    def test_none_at_all(self) -> None:
        names = ModelNames(0, ["m"])
        assert names.bound(msgspec.structs.replace(EVERYTHING_ELSE, model_requested="m")) == EVERYTHING_ELSE


def test_a_successor_goes_on_with_the_same_series_and_names() -> None:
    table = new_table()
    first = new_measures(table, most=1)
    first.observe(exchange("m"), 3.0, 1)
    first.show()
    second = new_measures(table, most=1)
    second.observe(exchange("n"), 3.0, 1)
    second.observe(exchange("m"), 3.0, 2)
    second.show()
    by_model = {labels.model: totals[cells.REQUESTS] for labels, totals in counted(table).items()}
    assert by_model == {"m": 2, OTHER: 1}


def test_when_all_series_are_taken_the_rest_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 3)
    table = new_table()
    measures = new_measures(table)
    for status in (200, 301, 404, 500, 200, 404):
        measures.observe(exchange(status_code=status), 3.0, 1)
    measures.show()
    found = counted(table)
    assert len(found) == 3
    assert found[EVERYTHING_ELSE][cells.REQUESTS] == 3
    assert sum(totals[cells.REQUESTS] for totals in found.values()) == 6


def test_nothing_is_written_while_nothing_happens() -> None:
    table = new_table()
    measures = new_measures(table)
    measures.observe(exchange(), 3.0, 1)
    measures.show()
    shown = repr(table)
    measures.show()
    assert repr(table) == shown

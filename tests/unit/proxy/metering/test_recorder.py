"""One record for each exchange: written once, bounded, without a secret, with the times of the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.exchanges import knowing
from tests.support.fixtures import HeldClock
from tests.support.measures import new_measures
from tests.support.transport import headers

from weir.events import Attempt, Outcome, UsageSource, decode, encode
from weir.events.journal import MAX_PAYLOAD, JournalWriter
from weir.events.journal_marks import StartMarks, marks_path, open_marks
from weir.events.journal_reader import JournalReader
from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.exchange import AnswerFacts, Exchange, RequestFacts, Usage
from weir.proxy.metering.counters import Counters, create_file
from weir.proxy.metering.recorder import Recorder
from weir.proxy.upstream import Upstream
from weir.proxy.wire.framing import read_request_head

if TYPE_CHECKING:
    from pathlib import Path

    from weir.events import RequestEvent
    from weir.proxy.exchange import RequestHead


class Desk:
    """A recorder with its journal."""

    def __init__(self, directory: Path, *, slots: int = 2, max_bytes: int = 1 << 20) -> None:
        self.clock = HeldClock()
        self.counters = Counters(create_file())
        self._path = marks_path(directory, "w1")
        self._reader = JournalReader(directory, keep_seconds=0)
        self._reader.follow("w1")
        journal = JournalWriter(directory, "w1", max_bytes=max_bytes, monotonic=self.clock.monotonic)
        marks = StartMarks(directory, "w1", slots)
        self.recorder = Recorder(
            "p1", "w1", journal, marks, self.counters, new_measures(), self.clock.monotonic
        )

    def exchange(self, *lines: str, **known: Any) -> Exchange:
        head = read_request_head(b"POST", b"/v1/chat/completions", "1.1", headers("Host: x", *lines))
        began = known.pop("accepted_at", 0.0), known.pop("started_us", 5)
        client: Any = Nobody()
        made = Exchange("id-1", head, client, ENDPOINTS[0], self.recorder.open(), *began)
        return knowing(made, **known)

    def records(self) -> list[RequestEvent]:
        return [decode(payload) for payload in self._reader.read(100).payloads]

    def close(self, exchange: Exchange) -> RequestEvent:
        self.recorder.close(exchange)
        (record,) = self.records()
        return record

    def open_marks(self) -> list[RequestEvent]:
        return [decode(payload) for payload in open_marks(self._path)]


class Nobody:
    """A client of whom nothing is asked."""

    address = ""

    def write(self, data: bytes) -> None:
        raise AssertionError

    def response_done(self, *, keep_alive: bool) -> None:
        raise AssertionError

    def abort(self) -> None:
        raise AssertionError

    def must_close(self, head: RequestHead) -> bool:
        raise AssertionError

    def hold_request(self) -> None:
        raise AssertionError

    def take_request(self) -> None:
        raise AssertionError


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_exchange_that_says_nothing_is_an_internal_error(desk: Desk) -> None:
    record = desk.close(desk.exchange())
    assert (record.outcome, record.usage_source) == (Outcome.INTERNAL_ERROR, UsageSource.MISSING)
    assert (record.request_id, record.proxy_id, record.started_at) == ("id-1", "p1", 5)
    assert (record.stream, record.duration_ms, record.status_code) == (False, 0.0, None)


def test_closing_again_writes_nothing(desk: Desk) -> None:
    exchange = desk.exchange()
    for _ in range(3):
        desk.recorder.close(exchange)
    assert len(desk.records()) == 1
    assert desk.counters.read()["journaled"] == 1
    slots = [desk.recorder.open() for _ in range(3)]
    assert slots.count(None) == 1, "its slot was given back once"


def test_a_mark_is_the_record_of_a_crash(desk: Desk) -> None:
    exchange = desk.exchange("x-weir-user: ada", api_key_id="ci", facts=RequestFacts(model="m", stream=True))
    assert desk.open_marks() == []
    desk.recorder.mark(exchange)
    (mark,) = desk.open_marks()
    assert (mark.outcome, mark.error_type) == (Outcome.INTERNAL_ERROR, "proxy_crashed")
    assert (mark.request_id, mark.user, mark.api_key_id, mark.model_requested, mark.stream) == (
        *("id-1", "ada", "ci", "m"),
        True,
    )
    desk.recorder.close(exchange)
    assert desk.open_marks() == []


def test_records_are_numbered_without_a_gap(desk: Desk) -> None:
    for number in range(3):
        exchange = desk.exchange()
        if number < 2:
            desk.recorder.mark(exchange)
            (mark,) = desk.open_marks()
            assert (mark.journal, mark.sequence) == ("w1", None), "who ends it does not know its place"
        desk.recorder.close(exchange)
    assert [(one.journal, one.sequence) for one in desk.records()] == [("w1", 1), ("w1", 2), ("w1", 3)]


def test_a_mark_always_fits(desk: Desk) -> None:
    exchange = desk.exchange("x-weir-user: " + "ü" * 400, "x-weir-project: " + "\\" * 400, api_key_id="ci")
    exchange.facts = RequestFacts(model="ü" * 400)
    desk.recorder.mark(exchange)
    (mark,) = desk.open_marks()
    assert (mark.request_id, mark.api_key_id, mark.user) == ("id-1", "ci", None)


def test_without_a_slot_there_is_no_mark_but_a_record(desk: Desk) -> None:
    exchange = desk.exchange(slot=None)
    desk.recorder.mark(exchange)
    assert desk.open_marks() == []
    assert desk.close(exchange).request_id == "id-1"


def test_a_journal_at_its_bound_drops_and_counts(tmp_path: Path) -> None:
    desk = Desk(tmp_path, max_bytes=0)
    exchange = desk.exchange()
    desk.recorder.mark(exchange)
    desk.recorder.close(exchange)
    assert desk.records() == []
    assert desk.open_marks() == []
    counts = desk.counters.read()
    assert (counts["journaled"], counts["dropped"]) == (0, 1)


def refuse(_journal: JournalWriter, _payload: bytes) -> bool:
    return False


def test_what_was_dropped_has_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    desk.recorder.close(desk.exchange())
    monkeypatch.setattr(JournalWriter, "append", refuse)
    desk.recorder.close(desk.exchange())
    monkeypatch.undo()
    desk.recorder.close(desk.exchange())
    assert [record.sequence for record in desk.records()] == [1, 2]


def test_times_are_milliseconds_from_the_request(desk: Desk) -> None:
    exchange = desk.exchange(
        accepted_at=1.0,
        received_at=1.5,
        connect_seconds=0.25,
        sent_at=2.0,
        headers_at=3.0,
        upstream_done_at=7.0,
        answer=AnswerFacts(first_token_at=4.0, first_answer_at=5.0, last_token_at=6.0, max_token_gap=0.125),
    )
    desk.clock.advance(8.0)
    record = desk.close(exchange)
    assert (record.connect_ms, record.upstream_headers_ms, record.duration_ms) == (250, 1000, 7000)
    assert (record.time_to_first_token_ms, record.time_to_first_answer_ms) == (3000, 4000)
    assert (record.time_to_last_token_ms, record.max_token_gap_ms) == (5000, 125)
    assert record.proxy_overhead_ms == 1250, "0.5 s less 0.25 s of connecting, and 1 s at the end"


@pytest.mark.parametrize(
    ("answer", "source", "completion"),
    [
        (AnswerFacts(usage=Usage(prompt_tokens=3, completion_tokens=2)), UsageSource.REPORTED, 2),
        (AnswerFacts(content_chunks=9), UsageSource.ESTIMATED, 9),
        (AnswerFacts(content_chunks=9, usage=Usage(prompt_tokens=3)), UsageSource.ESTIMATED, 9),
        (AnswerFacts(content_chunks=0, usage=Usage(prompt_tokens=3)), UsageSource.REPORTED, None),
        (AnswerFacts(content_chunks=0), UsageSource.MISSING, None),
        (AnswerFacts(), UsageSource.MISSING, None),
    ],
)
def test_where_counts_come_from(
    desk: Desk, answer: AnswerFacts, source: UsageSource, completion: int | None
) -> None:
    record = desk.close(desk.exchange(answer=answer))
    assert (record.usage_source, record.completion_tokens) == (source, completion)
    assert record.prompt_tokens == (None if answer.usage is None else 3), "the input is never guessed"


def test_who_asked(desk: Desk) -> None:
    exchange = desk.exchange(
        "x-weir-user: Zo\xc3\xab",
        "x-weir-project: p\xff",
        "x-request-id: r-1",
        "x-weir-team: blue",
        "X-Weir-Run: 7",
        "x-weir-empty: ",
        "x-weir-request-id: forged",
        facts=RequestFacts(user="body"),
        upstream=Upstream(name="one", url="http://h", variant="canary", provider="vllm"),
    )
    record = desk.close(exchange)
    assert (record.user, record.project, record.client_request_id) == ("Zoë", "pÿ", "r-1")
    assert record.metadata == {"team": "blue", "run": "7"}
    assert (record.upstream, record.variant, record.provider) == ("one", "canary", "vllm")
    assert desk.close(desk.exchange(facts=RequestFacts(user="body"))).user == "body"


def test_everything_is_bounded(desk: Desk) -> None:
    long = "\x07é" * 50_000
    lines = [f"x-weir-{number}{'n' * 100}: {'v' * 1000}" for number in range(60)]
    exchange = desk.exchange(
        *(f"{name}: {'h' * 9000}" for name in ("x-weir-user", "x-weir-project", "x-request-id")),
        *lines,
        facts=RequestFacts(model=long, user=long),
        answer=AnswerFacts(model=long, finish_reason=long, error_type=long, error_message=long),
        upstream_request_id=long,
        error_type=long,
        error_message=long,
    )
    desk.recorder.mark(exchange)
    record = desk.close(exchange)
    assert len(encode(record)) < MAX_PAYLOAD
    assert len(record.model or "") == len(record.model_requested or "") == 256
    assert len(record.error_message or "") == 500
    assert "\x07" not in (record.model or "") + (record.error_message or "")
    assert record.metadata is not None
    assert len(record.metadata) == 16
    assert max(map(len, record.metadata)) <= 64


def test_attempts_are_told_where_they_say_more(desk: Desk) -> None:
    good, bad = Attempt(upstream="one", status=200), Attempt(upstream="one", error="reset")
    assert desk.close(desk.exchange(attempts=[good])).attempts is None
    assert desk.close(desk.exchange(attempts=[bad])).attempts == [bad]
    assert desk.close(desk.exchange(attempts=[bad, good], retries=1)).attempts == [bad, good]

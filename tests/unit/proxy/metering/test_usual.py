"""The short way of writing a record gives the same record as the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.exchanges import knowing
from tests.support.measures import new_measures

from weir.events import Outcome, RequestEvent, decode, encode
from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.exchange import AnswerFacts, Exchange, HeadMemory, RequestFacts, RequestHead, Usage
from weir.proxy.metering.counters import Counters, create_file
from weir.proxy.metering.recorder import Recorder
from weir.proxy.metering.usual import Words
from weir.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT = st.none() | st.sampled_from(["m", 'a "b"', "x\x00y", "é\u2028", "x" * 300, "\ud800", "gpt-4o"])
COUNT = st.none() | st.integers(0, 2**40)


def moment(after: int) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(after, after + 1)


UPSTREAM = Upstream(name="one", url="http://upstream.test", provider="vllm", variant="canary")
MEASURES = new_measures()


class Paper:
    """Takes records and marks in place of the journal."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.marked: list[bytes] = []

    def append(self, payload: bytes) -> bool:
        self.written.append(payload)
        return True

    def take(self) -> int:
        return 1

    def fits(self, payload: bytes) -> bool:
        return len(payload) < 1000

    def mark(self, slot: int, payload: bytes) -> None:
        self.marked.append(payload)

    def release(self, slot: int) -> None:
        """Nothing is kept."""


def recorder(paper: Any) -> Recorder:
    return Recorder("p1", "w1", paper, paper, Counters(create_file()), MEASURES, lambda: 10.0)


def exchange(memory: HeadMemory, headers: Iterable[tuple[bytes, bytes]], **known: Any) -> Exchange:
    triples = [(name, name, value) for name, value in headers]
    head = RequestHead(
        *(b"POST", b"/v1/chat/completions", b"", triples, dict(headers)),
        *(5, False, True, True, memory),
    )
    client: Any = None
    made = Exchange("id-1", head, client, ENDPOINTS[0], 1, 1.0, 5)
    return knowing(made, upstream=UPSTREAM, **known)


@given(data=st.data())
def test_the_same_record_and_mark(data: st.DataObject) -> None:
    draw = data.draw
    facts = RequestFacts(model=draw(TEXT), stream=draw(st.booleans()), user=draw(TEXT))
    usage = draw(
        st.none()
        | st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, st.sampled_from([None, {"more": 1}]))
    )
    answer = AnswerFacts(
        *(draw(TEXT), draw(TEXT), usage, draw(moment(4)), draw(moment(5)), draw(moment(6))),
        *(draw(moment(0)), draw(COUNT)),
    )
    known: dict[str, Any] = {
        "api_key_id": draw(st.sampled_from([None, "ci"])),
        "trace_id": draw(st.sampled_from([None, "a" * 32])),
        "span_id": draw(st.sampled_from([None, "b" * 16])),
        "facts": facts,
        "answer": answer,
        "outcome": draw(st.sampled_from([Outcome.COMPLETED, Outcome.CLIENT_ERROR])),
        "status_code": draw(st.sampled_from([None, 200, 201])),
        "request_bytes": draw(st.integers(0, 2**40)),
        "response_bytes": draw(st.integers(0, 2**40)),
        "upstream_request_id": draw(st.sampled_from([None, "req_1", 'req"1', "req\x01", "x" * 400])),
        "received_at": draw(moment(1)),
        "sent_at": draw(moment(2)),
        "headers_at": draw(moment(3)),
        "upstream_done_at": draw(moment(8)),
        "connect_seconds": draw(moment(0)),
    }
    headers = draw(st.sampled_from([(), ((b"x-weir-project", b"p"), (b"x-weir-team", b"t"))]))
    again = HeadMemory()
    again.came_again = True
    events: list[RequestEvent] = []
    marks: list[RequestEvent] = []
    for memory in (HeadMemory(), again):
        paper = Paper()
        pen = recorder(paper)
        for _ in range(2):  # the second time the words are known
            one = exchange(memory, headers, **known)
            pen.mark(one)
            pen.close(one)
        marks += [decode(payload) for payload in paper.marked]
        events += [decode(payload) for payload in paper.written]
    first, second, *_ = events
    assert comparable(events[2]) == comparable(first)
    assert comparable(events[3]) == comparable(second)
    assert marks[1:] == marks[:1] * 3


def comparable(event: RequestEvent) -> dict[str, Any]:
    """The record, with its times to the microsecond: both round, but not always the same half."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return {
        name: pytest.approx(value, abs=0.002) if name.endswith("_ms") and value is not None else value
        for name, value in fields.items()
    }


def test_the_words_that_are_kept_are_bounded() -> None:
    words = Words()
    for number in range(2000):
        words.get(
            number,
            lambda: RequestEvent(
                request_id="", proxy_id="p", started_at=0, endpoint="e", outcome=Outcome.COMPLETED
            ),
        )
    assert len(words._known) <= 512


def test_the_usual_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the rest of this file would compare the long way with itself."""
    taken: list[RequestEvent] = []

    def note(event: RequestEvent) -> bytes:
        taken.append(event)
        return encode(event)

    monkeypatch.setattr("weir.proxy.metering.recorder.encode", note)
    again = HeadMemory()
    again.came_again = True
    answer = AnswerFacts("m", "stop", Usage(1, 2, 3), 2.0, 2.0)
    moments: dict[str, Any] = {
        "received_at": 1.0,
        "sent_at": 1.5,
        "headers_at": 2.0,
        "upstream_done_at": 3.0,
        "connect_seconds": 0.0,
    }
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16}
    known = {"outcome": Outcome.COMPLETED, "status_code": 200, **moments, **ids}
    one = exchange(again, (), answer=answer, **known)
    paper = Paper()
    pen = recorder(paper)
    pen.mark(one)
    pen.close(one)
    assert taken == []
    assert decode(paper.written[0]).completion_tokens == 2
    assert decode(paper.marked[0]).error_type == "proxy_crashed"

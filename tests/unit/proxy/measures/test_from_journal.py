"""What a killed worker had not shown is counted from its records, and nothing is counted twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import make_event
from tests.support.exchanges import knowing
from tests.support.fixtures import HeldClock
from tests.support.measures import new_measures, new_table
from tests.unit.proxy.measures.test_measures import HEAD, UPSTREAM

from weir.events import Attempt, Outcome, decode, encode
from weir.events.journal import JournalWriter, segment_path
from weir.events.journal_adoption import close_marks
from weir.events.journal_marks import StartMarks
from weir.events.journal_tail import records_after
from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.errors import KEPT_CONNECTION_CLOSED
from weir.proxy.exchange import AnswerFacts, Exchange, RequestFacts, Usage
from weir.proxy.metering.counters import Counters, create_file
from weir.proxy.metering.measures import cells, from_journal
from weir.proxy.metering.measures.from_journal import count_rest
from weir.proxy.metering.measures.labels import Labels, ModelNames
from weir.proxy.metering.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from weir.proxy.metering.measures.table import Table

WRITER = "boot-1"
COUNTERS = Counters(create_file())


def counts(table: Table) -> dict[tuple[str, str], float]:
    """Requests by model and outcome."""
    found: dict[tuple[str, str], float] = {}
    for text, totals in table.read().series:
        labels = msgspec.json.decode(text, type=Labels)
        key = (labels.model, labels.outcome)
        found[key] = found.get(key, 0) + totals[cells.REQUESTS]
    return found


def rest(table: Table, directory: Path) -> int:
    return count_rest(table, ModelNames(10, ["llama3"]), directory, WRITER)


class Worker:
    """What a worker has in its hands when it is killed."""

    def __init__(self, directory: Path, table: Table, *, segment_bytes: int = 1 << 20) -> None:
        self.clock = HeldClock()
        self.journal = JournalWriter(directory, WRITER, max_bytes=1 << 30, segment_bytes=segment_bytes)
        self.marks = StartMarks(directory, WRITER, 4)
        self.measures = new_measures(table, models=["llama3"])
        self.began = 0
        self.recorder = Recorder(
            *("p1", WRITER, self.journal, self.marks, COUNTERS),
            *(self.measures, self.clock.monotonic),
        )

    def exchange(self, **known: Any) -> Exchange:
        nobody: Any = None
        values: dict[str, Any] = {
            "facts": RequestFacts(model="llama3"),
            "upstream": UPSTREAM,
            "status_code": 200,
            "outcome": Outcome.COMPLETED,
            **known,
        }
        slot = self.recorder.open()
        self.began += 1
        now = self.clock.monotonic()
        return knowing(Exchange(f"id-{self.began}", HEAD, nobody, ENDPOINTS[0], slot, now, 5), **values)

    def finish(self, times: int = 1, **known: Any) -> None:
        for _ in range(times):
            self.recorder.close(self.exchange(**known))


@pytest.mark.parametrize("segment_bytes", [1 << 20, 2000], ids=["one segment", "several"])
def test_all_are_counted_once(tmp_path: Path, segment_bytes: int) -> None:
    table = new_table()
    worker = Worker(tmp_path, table, segment_bytes=segment_bytes)
    worker.finish(30)
    worker.measures.show()
    worker.finish(20)
    worker.finish(5, outcome=Outcome.UPSTREAM_ERROR, status_code=502)
    assert counts(table) == {("llama3", "completed"): 30}

    assert rest(table, tmp_path) == 25
    assert counts(table) == {("llama3", "completed"): 50, ("llama3", "upstream_error"): 5}


def test_what_was_in_flight_is_counted_with_its_record(tmp_path: Path) -> None:
    table = new_table()
    worker = Worker(tmp_path, table)
    worker.finish(2)
    worker.measures.show()
    worker.recorder.mark(worker.exchange())
    close_marks(tmp_path, WRITER)
    assert rest(table, tmp_path) == 1
    assert counts(table) == {("llama3", "completed"): 2, ("llama3", "internal_error"): 1}


def test_a_worker_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    table = new_table()
    worker = Worker(tmp_path, table)
    worker.finish(3)
    worker.measures.show()
    assert rest(table, tmp_path) == 0
    assert counts(table) == {("llama3", "completed"): 3}


def test_the_next_worker_counts_its_own_journal(tmp_path: Path) -> None:
    table = new_table()
    for life in ("first", "second"):
        (tmp_path / life).mkdir()
        worker = Worker(tmp_path / life, table)
        worker.finish(3)
        worker.measures.show()
        worker.finish(4)
        assert rest(table, tmp_path / life) == 4
        assert table.read().sequence == 0
    assert counts(table) == {("llama3", "completed"): 14}


def test_a_worker_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    assert rest(new_table(), tmp_path) == 0


def test_what_cannot_be_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = new_table()
    worker = Worker(tmp_path, table)
    worker.finish(1)
    worker.journal.append(b"{}")
    worker.finish(1)
    rest(table, tmp_path)
    assert "missing in the metrics" in caplog.text
    assert table.read().sequence == 0, "the next worker is not hindered"


def test_records_after_a_damaged_place_are_found(tmp_path: Path) -> None:
    worker = Worker(tmp_path, new_table())
    for number in range(5):
        worker.journal.append(encode(make_event(user=f"user-{number}")))
    path = segment_path(tmp_path, WRITER, 1)
    data = bytearray(path.read_bytes())
    data[data.index(b"user-2")] ^= 1
    path.write_bytes(data)
    found = [decode(payload).user for payload in records_after(tmp_path, WRITER, 1)]
    assert found == ["user-1", "user-3", "user-4"]


moments = st.none() | st.floats(0.001, 20.0).map(lambda seconds: round(seconds, 4) + 0.00003)
tokens = st.none() | st.integers(0, 10**9)


@given(
    st.sampled_from(list(Outcome)),
    st.sampled_from([None, 200, 404, 502]),
    st.booleans(),
    st.builds(Usage, tokens, tokens, tokens, tokens, tokens, tokens) | st.none(),
    st.lists(moments, min_size=6, max_size=6),
    st.none() | st.integers(0, 3),
)
def test_a_record_counts_as_its_request_does(
    outcome: Outcome,
    status_code: int | None,
    stream: bool,
    usage: Usage | None,
    at: list[float | None],
    chunks: int | None,
) -> None:
    """Whether a worker lived to show it or not makes no difference."""
    written: list[bytes] = []

    class Paper:
        def append(self, payload: bytes) -> bool:
            written.append(payload)
            return True

    paper: Any = Paper()
    nobody: Any = None
    lived, died = new_table(), new_table()
    measures = new_measures(lived)
    recorder = Recorder("p1", "w1", paper, paper, COUNTERS, measures, lambda: 30.0)
    first, last = at[3], None if at[4] is None else (at[3] or 0.0) + at[4]
    recorder.close(
        knowing(
            Exchange("id-1", HEAD, nobody, ENDPOINTS[0], None, 0.0, 5),
            facts=RequestFacts(model="m", stream=stream),
            upstream=UPSTREAM,
            outcome=outcome,
            status_code=status_code,
            received_at=at[0],
            sent_at=None if at[1] is None else (at[0] or 0.0) + at[1],
            connect_seconds=0.0,
            upstream_done_at=None if at[2] is None else 30.0 - at[2],
            answer=AnswerFacts(usage=usage, first_token_at=first, last_token_at=last, content_chunks=chunks),
            attempts=[Attempt(upstream="gpu", error=KEPT_CONNECTION_CLOSED), Attempt(upstream="gpu")],
        )
    )
    measures.show()
    again = new_measures(died)
    for payload in written:
        event = decode(payload)
        again.note(from_journal._labels(event), from_journal._numbers(event))
    again.show()
    ((labels, totals),) = lived.read().series
    assert [(labels, pytest.approx(totals, abs=1e-6))] == died.read().series

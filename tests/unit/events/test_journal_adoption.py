"""The end of a dead writer: one record for each request it had, whenever it and its adopter died."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from weir.events.journal import JournalWriter, frame, segment_path
from weir.events.journal_adoption import close_marks
from weir.events.journal_marks import SLOT_BYTES, MarksHeader, StartMarks, marks_path, open_marks
from weir.events.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path


def record(name: str, error_type: str | None = None) -> bytes:
    return msgspec.json.encode({"request_id": name, "error_type": error_type})


def crashed(name: str) -> bytes:
    return record(name, "proxy_crashed")


class Worker:
    """A writer with its marks, in the order of the recorder: mark, append, release."""

    def __init__(self, directory: Path, name: str = "b-1", *, slots: int = 8) -> None:
        self.journal = JournalWriter(directory, name, max_bytes=1 << 20, segment_bytes=300)
        self.marks = StartMarks(directory, name, slots)

    def accept(self, name: str) -> int:
        slot = self.marks.take()
        assert slot is not None
        self.marks.mark(slot, crashed(name))
        return slot

    def finish(self, name: str, slot: int) -> None:
        assert self.journal.append(record(name))
        self.marks.release(slot)


def what_is_shipped(directory: Path, name: str = "b-1") -> list[str]:
    reading = JournalReader(directory, keep_seconds=0)
    reading.adopt(name)
    batch = reading.read(1000)
    reading.close()
    found = [msgspec.json.decode(payload) for payload in batch.payloads]
    return [one["request_id"] + (" crashed" if one["error_type"] else "") for one in found]


def numbers(directory: Path, name: str = "b-1") -> tuple[int, int, int]:
    header = MarksHeader(marks_path(directory, name))
    found = header.journaled, header.crashed, header.dropped
    header.close()
    return found


def test_marks_of_requests_in_flight_survive_and_released_ones_do_not(tmp_path: Path) -> None:
    marks = StartMarks(tmp_path, "w1", slots=3)
    slots = [marks.take() for _ in range(4)]
    assert slots[3] is None
    for slot, payload in zip(slots[:3], (b"a", b"b", b"c"), strict=True):
        assert slot is not None
        marks.mark(slot, payload)
    assert slots[1] is not None
    marks.release(slots[1])
    assert sorted(open_marks(marks_path(tmp_path, "w1"))) == [b"a", b"c"]
    assert marks.take() == slots[1]


def test_what_was_in_flight_becomes_records_after_the_finished_ones(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    for number in range(20):
        worker.finish(f"done-{number}", worker.accept(f"done-{number}"))
    worker.accept("open-1")
    worker.accept("open-2")
    worker.marks.count_dropped()
    assert close_marks(tmp_path, "b-1") == 2
    shipped = what_is_shipped(tmp_path)
    assert shipped[:20] == [f"done-{number}" for number in range(20)]
    assert sorted(shipped[20:]) == ["open-1 crashed", "open-2 crashed"]
    assert numbers(tmp_path) == (22, 2, 1)
    assert marks_path(tmp_path, "b-1").stat().st_size == SLOT_BYTES


def test_a_worker_killed_between_the_record_and_the_release_of_its_mark(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.finish("one", worker.accept("one"))
    worker.accept("two")
    assert worker.journal.append(record("two"))
    assert close_marks(tmp_path, "b-1") == 0
    assert what_is_shipped(tmp_path) == ["one", "two"]
    assert numbers(tmp_path) == (2, 0, 0)


def test_that_record_may_be_the_last_of_a_full_segment(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    written = 0
    while len(list(tmp_path.glob("*.segment"))) < 3:
        slot = worker.accept(f"r{written}")
        assert worker.journal.append(record(f"r{written}"))
        written += 1
        if len(list(tmp_path.glob("*.segment"))) < 3:
            worker.marks.release(slot)
    # A new segment has been opened, and the process died before anything was in it.
    segment_path(tmp_path, "b-1", 4).write_bytes(b"WEIRSEG2")
    assert close_marks(tmp_path, "b-1") == 0
    assert len(what_is_shipped(tmp_path)) == written


@pytest.mark.parametrize("cut", [1, 7, 8, 15, 16, 30])
def test_a_torn_end_is_cut_and_its_request_is_recorded(tmp_path: Path, cut: int) -> None:
    worker = Worker(tmp_path)
    worker.finish("one", worker.accept("one"))
    worker.accept("two")
    path = segment_path(tmp_path, "b-1", 1)
    with path.open("ab") as file:
        file.write(frame(record("two"), 2)[:cut])
    assert close_marks(tmp_path, "b-1") == 1
    assert what_is_shipped(tmp_path) == ["one", "two crashed"]


@pytest.mark.parametrize("size", [0, 3, 8])
def test_a_worker_that_died_in_the_making_of_its_first_segment(tmp_path: Path, size: int) -> None:
    worker = Worker(tmp_path)
    worker.accept("one")
    segment_path(tmp_path, "b-1", 1).write_bytes(b"WEIRSEG2"[:size])
    assert close_marks(tmp_path, "b-1") == 1
    assert what_is_shipped(tmp_path) == ["one crashed"]


def test_a_worker_that_died_before_its_first_record(tmp_path: Path) -> None:
    Worker(tmp_path).accept("one")
    assert close_marks(tmp_path, "b-1") == 1
    assert what_is_shipped(tmp_path) == ["one crashed"]


def test_done_twice_it_changes_nothing(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.finish("one", worker.accept("one"))
    worker.accept("two")
    assert [close_marks(tmp_path, "b-1") for _ in range(3)] == [1, 0, 0]
    assert what_is_shipped(tmp_path) == ["one", "two crashed"]
    assert numbers(tmp_path) == (2, 1, 0)


def test_an_adopter_killed_before_it_dropped_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(tmp_path)
    worker.finish("one", worker.accept("one"))
    for number in range(5):
        worker.accept(f"open-{number}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weir.events.journal_adoption.drop_slots", killed)
    with pytest.raises(KeyboardInterrupt):
        close_marks(tmp_path, "b-1")
    monkeypatch.undo()
    assert close_marks(tmp_path, "b-1") == 0
    assert len(what_is_shipped(tmp_path)) == 6
    assert numbers(tmp_path) == (6, 5, 0)


def test_a_full_disk_leaves_the_marks_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(tmp_path)
    worker.finish("one", worker.accept("one"))
    worker.accept("two")
    worker.accept("three")
    really_write = os.pwrite

    def full(fd: int, data: bytes, at: int) -> int:
        monkeypatch.setattr(os, "pwrite", refusing)
        return really_write(fd, data[:20], at)

    def refusing(_fd: int, _data: bytes, _at: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for broken in (refusing, full):
        monkeypatch.setattr(os, "pwrite", broken)
        with pytest.raises(OSError, match="No space left"):
            close_marks(tmp_path, "b-1")
        monkeypatch.undo()
        assert what_is_shipped(tmp_path) == ["one"], "nothing half written is left"
    assert close_marks(tmp_path, "b-1") == 2
    assert sorted(what_is_shipped(tmp_path)) == ["one", "three crashed", "two crashed"]


def test_no_marks_and_damaged_marks_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert close_marks(tmp_path, "b-9") == 0
    assert list(tmp_path.iterdir()) == []
    marks_path(tmp_path, "b-1").write_bytes(b"x" * 5000)
    assert close_marks(tmp_path, "b-1") == 0
    assert marks_path(tmp_path, "b-1").exists()
    assert "damaged marks file" in caplog.text

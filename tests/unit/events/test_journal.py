"""The journal survives torn ends, damage, full disks and restarts, and frees only what is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.events.journal import JournalWriter, StartMarks, frame, marks_path, open_marks, segment_path
from weir.events.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path


def writer(
    directory: Path, name: str = "w1", *, segment_bytes: int = 1 << 20, max_bytes: int = 1 << 30
) -> JournalWriter:
    return JournalWriter(directory, name, max_bytes=max_bytes, segment_bytes=segment_bytes)


def reader(directory: Path, *, keep_seconds: float = 0) -> JournalReader:
    return JournalReader(directory, keep_seconds=keep_seconds, now=lambda: 1e12)


def test_records_come_back_in_order_over_segments(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path, segment_bytes=200), reader(tmp_path)
    reading.follow("w1")
    records = [b"record %d" % number for number in range(100)]
    for record in records:
        assert journal.append(record)
    seen: list[bytes] = []
    while batch := reading.read(7).payloads:
        seen += batch
    assert seen == records
    assert len(list(tmp_path.glob("*.segment"))) > 5


def test_a_record_appended_later_is_found(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path), reader(tmp_path)
    reading.follow("w1")
    assert reading.read(10).payloads == []
    journal.append(b"one")
    assert reading.read(10).payloads == [b"one"]
    journal.append(b"two")
    assert reading.read(10).payloads == [b"two"]


def test_a_frame_still_being_written_waits_and_a_torn_end_is_cut(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path), reader(tmp_path)
    reading.follow("w1")
    journal.append(b"whole")
    with segment_path(tmp_path, "w1", 1).open("ab") as file:
        file.write(frame(b"torn record")[:-3])
    assert reading.read(10).payloads == [b"whole"]
    assert reading.corrupt_frames == 0
    reading.ended("w1")
    assert reading.read(10).payloads == []
    assert reading.corrupt_frames == 1


@pytest.mark.parametrize("damaged_byte", [0, 3, 4, 7, 8, 12])
def test_a_damaged_frame_is_skipped_and_counted_and_the_rest_flows(tmp_path: Path, damaged_byte: int) -> None:
    journal = writer(tmp_path)
    for record in (b"first record", b"second record", b"third record"):
        journal.append(record)
    path = segment_path(tmp_path, "w1", 1)
    data = bytearray(path.read_bytes())
    data[8 + len(frame(b"first record")) + damaged_byte] ^= 0xFF
    path.write_bytes(data)
    reading = reader(tmp_path)
    reading.adopt("w1")
    assert reading.read(10).payloads == [b"first record", b"third record"]
    assert reading.corrupt_frames == 1


def test_what_was_not_acknowledged_is_read_again(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path), reader(tmp_path)
    reading.follow("w1")
    journal.append(b"one")
    reading.acknowledge(reading.read(10))
    journal.append(b"two")
    reading.give_back(reading.read(10))
    assert reading.read(10).payloads == [b"two"]
    reading.rewind()
    assert reading.read(10).payloads == [b"one", b"two"]


def test_only_acknowledged_and_finished_segments_are_freed(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path, segment_bytes=50), reader(tmp_path)
    reading.follow("w1")
    for number in range(20):
        journal.append(b"record number %d" % number)
    batch = reading.read(1000)
    reading.free()
    assert len(list(tmp_path.glob("*.segment"))) == 10
    reading.acknowledge(batch)
    reading.free()
    assert [path.name for path in tmp_path.glob("*.segment")] == ["w1-00000010.segment"]
    reading.ended("w1")
    reading.read(10)
    reading.free()
    assert not list(tmp_path.glob("*.segment"))


def test_a_writer_that_came_and_died_while_nothing_was_read_is_not_forgotten(tmp_path: Path) -> None:
    """Redis was away for all of its life."""
    reading = reader(tmp_path)
    reading.follow("w1")
    journal = writer(tmp_path)
    journal.append(b"one")
    journal.close()
    reading.ended("w1")
    reading.free()
    assert reading.read(10).payloads == [b"one"]


def test_segments_are_kept_for_a_while_after_the_acknowledgement(tmp_path: Path) -> None:
    journal = writer(tmp_path)
    journal.append(b"one")
    written = segment_path(tmp_path, "w1", 1).stat().st_mtime
    now = written + 59
    reading = JournalReader(tmp_path, keep_seconds=60, now=lambda: now)
    reading.adopt("w1")
    reading.acknowledge(reading.read(10))
    reading.free()
    assert segment_path(tmp_path, "w1", 1).exists()
    now = written + 61
    reading.free()
    assert not segment_path(tmp_path, "w1", 1).exists()


def test_at_its_bound_the_journal_drops_and_takes_records_again_when_freed(tmp_path: Path) -> None:
    now = 100.0
    journal = JournalWriter(tmp_path, "w1", max_bytes=300, segment_bytes=100, monotonic=lambda: now)
    taken = sum(journal.append(b"x" * 20) for _ in range(50))
    assert 0 < taken < 50
    reading = reader(tmp_path)
    reading.adopt("w1")
    reading.acknowledge(reading.read(1000))
    reading.free()
    assert not journal.append(b"within the second it does not look again")
    now += 1.1
    assert journal.append(b"there is room again")


def test_an_unwritable_directory_drops_without_raising(tmp_path: Path) -> None:
    journal = writer(tmp_path / "missing")
    (tmp_path / "missing").mkdir()
    assert journal.append(b"one")
    journal.close()
    for path in (tmp_path / "missing").iterdir():
        path.unlink()
    (tmp_path / "missing").rmdir()
    assert not journal.append(b"two")


def test_writers_of_an_earlier_life_are_found(tmp_path: Path) -> None:
    writer(tmp_path, "old-1").append(b"one")
    StartMarks(tmp_path, "old-2", slots=2).close()
    reading = reader(tmp_path)
    assert reading.left_behind() == ["old-1", "old-2"]
    reading.adopt("old-1")
    assert reading.left_behind() == ["old-2"]
    assert reading.read(10).payloads == [b"one"]


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


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=30), st.binary(max_size=60), st.data())
def test_reading_any_damaged_file_never_fails_and_never_invents_a_record(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], noise: bytes, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = writer(directory)
    for record in records:
        journal.append(record)
    path = segment_path(directory, "w1", 1)
    if not path.exists():
        return
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(min_value=8, max_value=len(content)))
    content[at : at + len(noise)] = noise
    path.write_bytes(content)
    reading = reader(directory)
    reading.adopt("w1")
    seen = reading.read(1000).payloads
    assert all(record in records or record in noise for record in seen)
    assert reading.read(1000).payloads == []

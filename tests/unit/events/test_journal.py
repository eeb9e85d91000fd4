"""The journal survives torn ends, damage, full disks and restarts, and frees only what is acknowledged."""

from __future__ import annotations

import errno
import math
import os
import sys
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.events.journal import FULL, JournalWriter, frame, segment_path
from weir.events.journal_marks import MarksHeader, StartMarks, marks_path
from weir.events.journal_reader import JournalReader

SERVER: Final = "run-1"
ANOTHER: Final = "run-2"


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
        file.write(frame(b"torn record", 2)[:-3])
    assert reading.read(10).payloads == [b"whole"]
    assert reading.corrupt_places == 0
    reading.ended("w1")
    assert reading.read(10).payloads == []
    assert reading.corrupt_places == 1


@pytest.mark.parametrize("damaged_byte", [0, 3, 4, 7, 8, 15, 16, 20])
def test_a_damaged_frame_is_skipped_and_counted_and_the_rest_flows(tmp_path: Path, damaged_byte: int) -> None:
    journal = writer(tmp_path)
    for record in (b"first record", b"second record", b"third record"):
        journal.append(record)
    path = segment_path(tmp_path, "w1", 1)
    data = bytearray(path.read_bytes())
    data[8 + len(frame(b"first record", 1)) + damaged_byte] ^= 0xFF
    path.write_bytes(data)
    reading = reader(tmp_path)
    reading.follow("w1")
    batch = reading.read(10)
    assert batch.payloads == [b"first record", b"third record"]
    assert reading.corrupt_places == 1
    reading.acknowledge(batch, SERVER)
    standing = reading.standing("w1")
    assert (standing.confirmed, standing.damaged) == (3, 1), "the numbers say how many were lost"


def test_a_lost_segment_is_counted_by_its_records(tmp_path: Path) -> None:
    journal = writer(tmp_path, segment_bytes=100)
    for number in range(12):
        journal.append(b"record number %2d" % number)
    second = segment_path(tmp_path, "w1", 2)
    second.write_bytes(b"\0" * second.stat().st_size)
    reading = reader(tmp_path)
    reading.follow("w1")
    batch = reading.read(100)
    reading.acknowledge(batch, SERVER)
    standing = reading.standing("w1")
    assert standing.confirmed == 12
    assert len(batch.payloads) + standing.damaged == 12
    assert standing.damaged > 1


def test_what_was_not_acknowledged_is_read_again(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path), reader(tmp_path)
    reading.follow("w1")
    journal.append(b"one")
    reading.acknowledge(reading.read(10), SERVER)
    journal.append(b"two")
    reading.give_back(reading.read(10))
    assert reading.read(10).payloads == [b"two"]
    batch = reading.read(10)
    assert not reading.rewind(SERVER), "it is the one that confirmed them"
    assert reading.rewind(ANOTHER)
    reading.give_back(batch)
    assert reading.read(10).payloads == [b"one", b"two"]
    assert reading.standing("w1").confirmed == 1, "what was confirmed once is not counted again"


def test_only_acknowledged_and_finished_segments_are_freed(tmp_path: Path) -> None:
    journal, reading = writer(tmp_path, segment_bytes=50), reader(tmp_path)
    reading.follow("w1")
    for number in range(20):
        journal.append(b"record number %d" % number)
    batch = reading.read(1000)
    reading.free(math.inf)
    assert len(list(tmp_path.glob("*.segment"))) == 10
    reading.acknowledge(batch, SERVER)
    reading.free(math.inf)
    assert [path.name for path in tmp_path.glob("*.segment")] == ["w1-00000010.segment"]
    reading.ended("w1")
    reading.read(10)
    reading.free(math.inf)
    assert not list(tmp_path.glob("*.segment"))


def test_a_writer_that_came_and_died_while_nothing_was_read_is_not_forgotten(tmp_path: Path) -> None:
    """Redis was away for all of its life."""
    reading = reader(tmp_path)
    reading.follow("w1")
    journal = writer(tmp_path)
    journal.append(b"one")
    journal.close()
    reading.ended("w1")
    reading.free(math.inf)
    assert reading.read(10).payloads == [b"one"]


def test_segments_are_kept_for_a_while_after_the_acknowledgement(tmp_path: Path) -> None:
    now = 1000.0
    writer(tmp_path).append(b"one")
    path = segment_path(tmp_path, "w1", 1)
    os.utime(path, (0, 0))  # written long before Redis took it
    reading = JournalReader(tmp_path, keep_seconds=60, monotonic=lambda: now)
    reading.adopt("w1")
    reading.acknowledge(reading.read(10), SERVER)
    reading.read(10)
    now += 59
    assert reading.free(math.inf) == []
    assert path.exists()
    assert path.stat().st_mtime > 0, "who adopts it sees when that was"
    now += 2
    assert reading.free(math.inf) == ["w1"]
    assert not path.exists()


def test_segments_are_kept_until_their_records_are_stored(tmp_path: Path) -> None:
    """Redis may be emptied while nobody reads: then the journal is all there is."""
    now = 1000.0
    reading = JournalReader(tmp_path, keep_seconds=60, monotonic=lambda: now)
    for name in ("w1", "w2"):
        writer(tmp_path, name).append(b"one")
        reading.adopt(name)
        reading.acknowledge(reading.read(10), SERVER)
        reading.read(10)
        now += 100
    now += 1000
    assert reading.free(-math.inf) == []
    assert reading.free(1000.0) == []
    assert reading.free(1050.0) == ["w1"], "what was acknowledged before that is stored"
    assert reading.rewind(ANOTHER)
    assert reading.read(10).payloads == [b"one"]


def test_many_small_segments_that_are_not_stored_are_bounded_too(tmp_path: Path) -> None:
    """A worker that dies again and again leaves one each time."""
    reading = JournalReader(tmp_path, keep_seconds=60)
    for life in range(300):
        journal = writer(tmp_path, f"b1-{life}")
        journal.append(b"one")
        journal.close()
        reading.follow(f"b1-{life}")
        reading.ended(f"b1-{life}")
    reading.free(-math.inf)
    assert len(list(tmp_path.glob("*.segment"))) == 300, "not those that Redis does not have"
    for _ in range(2):
        reading.acknowledge(reading.read(1000), SERVER)
    reading.free(-math.inf)
    assert len(list(tmp_path.glob("*.segment"))) == 256
    reading.close()


def test_near_the_bound_what_is_acknowledged_goes_before_its_time(tmp_path: Path) -> None:
    journal = writer(tmp_path, segment_bytes=100)
    for number in range(20):
        journal.append(b"record number %2d" % number)
    reading = JournalReader(tmp_path, keep_seconds=60, max_bytes=600)
    reading.follow("w1")
    before = sum(path.stat().st_size for path in tmp_path.glob("*.segment"))
    reading.acknowledge(reading.read(100), SERVER)
    reading.free(math.inf)
    after = sum(path.stat().st_size for path in tmp_path.glob("*.segment"))
    assert before > 600
    assert 300 < after <= 450, "no more than is needed"


def test_at_its_bound_the_journal_drops_and_takes_records_again_when_freed(tmp_path: Path) -> None:
    now = 100.0
    journal = JournalWriter(tmp_path, "w1", max_bytes=300, segment_bytes=100, monotonic=lambda: now)
    taken = sum(journal.append(b"x" * 20) for _ in range(50))
    assert 0 < taken < 50
    assert journal.refusing == FULL
    reading = reader(tmp_path)
    reading.adopt("w1")
    reading.acknowledge(reading.read(1000), SERVER)
    reading.free(math.inf)
    assert not journal.append(b"within the second it does not look again")
    now += 1.1
    assert journal.append(b"there is room again")
    assert journal.refusing == 0


def test_the_bound_holds_for_all_writers_of_the_folder(tmp_path: Path) -> None:
    earlier = writer(tmp_path, "old-1", max_bytes=1000)
    while earlier.append(b"x" * 20):
        pass
    assert not writer(tmp_path, "w1", max_bytes=1000).append(b"one")


def test_where_requests_are_refused_the_record_of_an_accepted_one_is_written(tmp_path: Path) -> None:
    now = 100.0
    journal = JournalWriter(tmp_path, "w1", max_bytes=300, overrun=True, monotonic=lambda: now)
    assert journal.takes_records()
    accepted = 0
    while journal.takes_records():
        assert journal.append(b"x" * 20)
        accepted += 1
    assert accepted > 3
    assert all(journal.append(b"in flight when it became full" * 3) for _ in range(20))
    assert not journal.takes_records()
    for path in tmp_path.iterdir():
        path.unlink()
    assert not journal.takes_records(), "within the second it does not look again"
    now += 1.1
    assert journal.takes_records()


def test_who_does_not_refuse_is_not_asked(tmp_path: Path) -> None:
    journal = writer(tmp_path, max_bytes=100)
    while journal.append(b"x" * 20):
        pass
    assert journal.takes_records()


@pytest.mark.parametrize("cut", [0, 5, 30])
def test_a_disk_that_is_full_drops_what_does_not_fit_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    now = 100.0
    journal = JournalWriter(tmp_path, "w1", max_bytes=1 << 20, monotonic=lambda: now)
    assert journal.append(b"before")
    really_write = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) <= cut:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        monkeypatch.setattr(os, "write", nothing)
        return really_write(fd, data[:cut])

    def nothing(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    assert [journal.append(b"x" * 40) for _ in range(5)] == [False] * 5
    now += 1.1
    journal.look_again()
    assert journal.refusing == errno.ENOSPC
    assert caplog.text.count("takes no records: No space left on device") == 1, "said once, not each time"
    monkeypatch.setattr(os, "write", really_write)
    now += 1.1
    journal.look_again()
    assert journal.refusing == 0
    assert journal.append(b"after")
    reading = reader(tmp_path)
    reading.follow("w1")
    assert reading.read(10).payloads == [b"before", b"after"]
    assert reading.corrupt_places == 0, "what was half written was cut off"


def test_with_sync_a_record_is_on_the_disk_when_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def sync(fd: int) -> None:
        sizes.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", sync)
    journal = JournalWriter(tmp_path, "w1", max_bytes=1 << 20, sync=True)
    for _ in range(3):
        assert journal.append(b"x" * 10)
        assert sizes[-1] == segment_path(tmp_path, "w1", 1).stat().st_size
    assert len(sizes) == 3

    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", broken)
    assert not journal.append(b"not safe, so not taken")
    reading = reader(tmp_path)
    reading.follow("w1")
    assert len(reading.read(10).payloads) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file a descriptor is")
def test_the_parent_syncs_what_has_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def sync(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)

    monkeypatch.setattr(os, "fsync", sync)
    journal, reading = writer(tmp_path), reader(tmp_path)
    reading.follow("w1")
    journal.append(b"one")
    reading.read(10)
    reading.sync()()
    assert synced == ["w1-00000001.segment", tmp_path.name], "the name of a new file, too"
    reading.sync()()
    assert len(synced) == 2
    journal.append(b"two")
    reading.sync()()
    assert synced[2:] == ["w1-00000001.segment"]


def test_what_the_disk_refused_is_synced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, reading = writer(tmp_path), reader(tmp_path)
    reading.follow("w1")
    journal.append(b"one")
    reading.read(10)
    refusals = [OSError(5, "Input/output error")]
    synced: list[int] = []

    def sync(fd: int) -> None:
        if refusals:
            raise refusals.pop()
        synced.append(fd)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="Input/output error"):
        reading.sync()()
    reading.sync()()
    assert len(synced) == 2


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


def test_an_adopter_does_not_send_what_was_confirmed_unless_redis_is_another(tmp_path: Path) -> None:
    journal = writer(tmp_path)
    StartMarks(tmp_path, "w1", slots=1).close()
    first = reader(tmp_path, keep_seconds=1e9)
    first.follow("w1")
    for record in (b"one", b"two"):
        journal.append(record)
    first.acknowledge(first.read(10), SERVER)
    journal.append(b"three")
    first.close()

    second = reader(tmp_path, keep_seconds=1e9)
    second.adopt("w1")
    assert not second.rewind(SERVER)
    assert second.standing("w1").confirmed == 2
    batch = second.read(10)
    assert batch.payloads == [b"three"]
    second.acknowledge(batch, SERVER)
    second.close()

    third = reader(tmp_path, keep_seconds=1e9)
    third.adopt("w1")
    assert third.rewind(ANOTHER)
    batch = third.read(2)
    assert batch.payloads == [b"one", b"two"]
    third.acknowledge(batch, ANOTHER)
    assert third.standing("w1").confirmed == 3, "by any Redis"
    third.close()

    fourth = reader(tmp_path, keep_seconds=1e9)
    fourth.adopt("w1")
    assert not fourth.rewind(ANOTHER)
    assert fourth.read(10).payloads == [b"one", b"two", b"three"], "it had not been told all of it again"


def test_what_is_skipped_is_freed_in_its_time(tmp_path: Path) -> None:
    journal = writer(tmp_path, segment_bytes=60)
    StartMarks(tmp_path, "w1", slots=1).close()
    for number in range(6):
        journal.append(b"record number %d" % number)
    header = MarksHeader(marks_path(tmp_path, "w1"))
    header.confirm(6, 0, SERVER)
    header.close()
    reading = reader(tmp_path)
    reading.adopt("w1")
    batch = reading.read(10)
    assert batch.payloads == []
    reading.acknowledge(batch, SERVER)
    assert reading.free(math.inf) == ["w1"]
    reading.dismiss("w1")
    assert list(tmp_path.iterdir()) == []


def test_a_dead_writer_that_nobody_has_read_is_not_freed(tmp_path: Path) -> None:
    reading = reader(tmp_path)
    reading.follow("w1")
    writer(tmp_path).append(b"one")
    reading.ended("w1")
    assert reading.free(math.inf) == []
    assert reading.read(10).payloads == [b"one"]


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

"""A journal folder's accounts add up, whichever process died and whoever ships the rest."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import make_event
from tests.support.fixtures import HeldClock

from weir.events import encode
from weir.events.journal import JournalWriter, segment_path
from weir.events.journal_ledger import Ledger, Tally
from weir.events.journal_marks import StartMarks, marks_path
from weir.events.journal_reader import JournalReader
from weir.proxy.parent.desk import Desk
from weir.proxy.parent.journal_home import JournalHome

if TYPE_CHECKING:
    from pathlib import Path

    from weir.events.accounts import Account


class Worker:
    """A worker as the parent sees it: its files, and its counters."""

    def __init__(self, directory: Path, writer: str) -> None:
        self.writer = writer
        self.journal = JournalWriter(directory, writer, max_bytes=1 << 20)
        self.marks = StartMarks(directory, writer, 8)
        self.counted = {"accepted": 0, "journaled": 0, "dropped": 0}

    def accept(self, **known: Any) -> int:
        self.counted["accepted"] += 1
        slot = self.marks.take()
        assert slot is not None
        self.marks.mark(
            slot, encode(make_event(outcome="internal_error", error_type="proxy_crashed", **known))
        )
        return slot

    def finish(self, count: int = 1) -> None:
        for _ in range(count):
            slot = self.accept()
            assert self.journal.append(encode(make_event()))
            self.counted["journaled"] += 1
            self.marks.release(slot)

    def drop(self) -> None:
        slot = self.accept()
        self.marks.count_dropped()
        self.counted["dropped"] += 1
        self.marks.release(slot)

    def tally(self) -> Tally:
        return Tally(**self.counted)

    def die(self) -> None:
        """What is in its marks stays there; the kernel lets go of its lock."""
        self.marks.close()


class House:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.clock = HeldClock()
        self.homes: list[JournalHome] = []

    def open(self, boot_id: str, home: JournalHome | None = None) -> Desk:
        """The desk of a proxy that starts; `boot_id` is empty for an adopted folder."""
        home = home or JournalHome.claim(self.data, "p")
        self.homes.append(home)
        reader = JournalReader(
            home.directory, keep_seconds=0, monotonic=self.clock.monotonic, now=lambda: 1e12
        )
        desk = Desk(home, reader, boot_id=boot_id)
        desk.adopt_left_behind()
        return desk

    def die(self, desk: Desk) -> None:
        """SIGKILL: only the files are left, and the kernel unlocks them."""
        desk.reader.close()
        desk.home.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def worker(desk: Desk, writer: str) -> Worker:
    desk.reader.follow(writer)
    return Worker(desk.home.directory, writer)


def account(desk: Desk, boot_id: str, *workers: Worker) -> Account:
    accounts = desk.accounts({worker.writer: worker.tally() for worker in workers}, now=lambda: 1)
    (found,) = [account for account in accounts if account.boot_id == boot_id]
    for one in accounts:
        assert one.accepted == one.acknowledged + one.in_journal + one.dropped + one.in_flight
    return found


def ship(desk: Desk, limit: int = 1000) -> int:
    batch = desk.reader.read(limit)
    desk.reader.acknowledge(batch, "run-1")
    return len(batch.payloads)


def test_the_account_of_a_life_follows_its_requests(house: House) -> None:
    desk = house.open("b1")
    one, two = worker(desk, "b1-1"), worker(desk, "b1-2")
    one.finish(5)
    two.finish(3)
    two.accept()
    two.drop()
    now = account(desk, "b1", one, two)
    assert (now.accepted, now.journaled, now.in_flight, now.dropped) == (10, 8, 1, 1)
    assert (now.acknowledged, now.in_journal) == (0, 8)
    assert now.in_journal_bytes > 8 * 100
    ship(desk, 6)
    now = account(desk, "b1", one, two)
    assert (now.acknowledged, now.in_journal, now.closed) == (6, 2, False)
    ship(desk)
    now = account(desk, "b1", one, two)
    assert (now.acknowledged, now.in_journal, now.in_journal_bytes) == (8, 0, 0)


def test_a_killed_worker_leaves_no_gap(house: House) -> None:
    """It died after it had written a record and before it had counted it, with another in flight."""
    desk = house.open("b1")
    dead = worker(desk, "b1-1")
    dead.finish(4)
    dead.accept(request_id="cut")
    dead.accept(request_id="written")
    assert dead.journal.append(encode(make_event(request_id="written")))
    dead.drop()
    ship(desk, 2)
    desk.ended("b1-1", dead.tally())
    now = account(desk, "b1")
    assert (now.accepted, now.journaled, now.crashed, now.dropped) == (7, 6, 1, 1)
    assert (now.in_flight, now.acknowledged, now.in_journal) == (0, 2, 4)
    ship(desk)
    ship(desk)
    desk.look_after()
    assert not list(desk.home.directory.glob("b1-1*")), "its files are gone"
    assert account(desk, "b1").acknowledged == 6, "and its numbers are not"
    next_one = worker(desk, "b1-2")
    next_one.finish()
    assert account(desk, "b1", next_one).accepted == 8


def test_the_next_start_brings_the_account_of_a_killed_proxy_to_its_end(house: House) -> None:
    first = house.open("b1")
    one, two = worker(first, "b1-1"), worker(first, "b1-2")
    one.finish(5)
    one.accept()
    two.finish(2)
    two.drop()
    ship(first, 3)
    house.die(first)
    one.die()
    two.die()

    second = house.open("b2")
    own = worker(second, "b2-1")
    own.finish()
    found = account(second, "b1", own)
    assert (found.accepted, found.journaled, found.crashed, found.dropped) == (9, 8, 1, 1)
    assert (found.in_flight, found.acknowledged, found.in_journal, found.closed) == (0, 3, 5, False)
    assert ship(second) == 6, "what had been confirmed is not sent again"
    ship(second)
    found = account(second, "b1", own)
    assert (found.acknowledged, found.closed) == (8, True)
    assert account(second, "b2", own).accepted == 1

    second.look_after()
    assert account(second, "b1", own) == found, "it is kept until it has been told"
    second.told(second.accounts({}))
    second.look_after()
    assert [one.boot_id for one in second.accounts({"b2-1": own.tally()})] == ["b2"]


def test_a_proxy_that_stops_closes_its_account_and_the_next_start_has_nothing_else_to_say(
    house: House,
) -> None:
    first = house.open("b1")
    one = worker(first, "b1-1")
    one.finish(3)
    one.die()
    first.ended("b1-1", one.tally())
    first.life_is_over()
    assert not account(first, "b1").closed, "its records are not shipped yet"
    ship(first)
    last = account(first, "b1")
    assert (last.accepted, last.acknowledged, last.closed) == (3, 3, True)
    house.die(first)
    second = house.open("b2")
    ship(second)
    assert account(second, "b1") == last
    assert not account(second, "b2").closed


def test_workers_that_outlive_their_parent_are_left_alone_until_they_end(house: House) -> None:
    first = house.open("b1")
    one, two = worker(first, "b1-1"), worker(first, "b1-2")
    one.finish(2)
    slot = two.accept()
    house.die(first)
    one.die()

    second = house.open("b2")
    second.look_after()
    assert ship(second) == 0
    assert [found.boot_id for found in second.accounts({})] == ["b2"], "its account would not be whole"
    assert two.journal.append(encode(make_event()))
    two.marks.release(slot)
    two.die()

    second.look_after()
    assert ship(second) == 3
    found = account(second, "b1")
    assert (found.accepted, found.acknowledged, found.crashed, found.closed) == (3, 3, 0, True)


def test_killed_between_the_account_and_the_removal_of_the_files(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = house.open("b1")
    dead = worker(desk, "b1-1")
    dead.finish(4)
    desk.ended("b1-1", dead.tally())
    ship(desk)
    ship(desk)
    before = account(desk, "b1")
    monkeypatch.setattr(desk.reader, "dismiss", str)
    desk.look_after()
    assert Ledger(desk.home.directory).tally("b1").accepted == 4
    house.die(desk)
    dead.die()

    again = house.open("b2")
    assert account(again, "b1").accepted == 4
    again.look_after()
    found = account(again, "b1")
    assert (found.accepted, found.acknowledged) == (before.accepted, before.acknowledged) == (4, 4)
    assert not marks_path(again.home.directory, "b1-1").exists()


def test_a_crash_loop_does_not_make_the_account_longer(house: House) -> None:
    desk = house.open("b1")
    for life in range(1, 30):
        one = worker(desk, f"b1-{life}")
        one.finish()
        desk.ended(one.writer, one.tally())
        ship(desk)
        ship(desk)
        desk.look_after()
    assert account(desk, "b1").acknowledged == 29
    (path,) = desk.home.directory.glob("*.account")
    assert path.stat().st_size < 1000


def test_damage_in_the_journal_is_counted_as_dropped(house: House) -> None:
    desk = house.open("b1")
    one = worker(desk, "b1-1")
    one.finish(3)
    path = segment_path(desk.home.directory, "b1-1", 1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert ship(desk) == 2
    now = account(desk, "b1", one)
    assert (now.acknowledged, now.dropped, now.in_journal) == (2, 1, 0)


def test_marks_that_find_no_room_on_the_disk_wait_in_flight(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = house.open("b1")
    dead = worker(desk, "b1-1")
    dead.finish(2)
    dead.accept()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    desk.ended("b1-1", dead.tally())
    for _ in range(3):
        ship(desk)
        desk.look_after()
    now = account(desk, "b1")
    assert (now.accepted, now.in_flight, now.acknowledged) == (3, 1, 2)
    assert caplog.text.count("cannot be recorded yet") == 1
    monkeypatch.undo()
    desk.look_after()
    ship(desk)
    now = account(desk, "b1")
    assert (now.accepted, now.in_flight, now.acknowledged, now.crashed) == (3, 0, 3, 1)


def test_a_start_on_a_full_disk_records_what_a_killed_proxy_had_in_flight_when_there_is_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house.open("b1")
    dead = worker(first, "b1-1")
    dead.finish(2)
    dead.accept()
    house.die(first)
    dead.die()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    second = house.open("b2")
    for _ in range(3):
        ship(second)
        second.look_after()
    now = account(second, "b1")
    assert (now.accepted, now.in_flight, now.acknowledged, now.closed) == (3, 1, 2, False)
    monkeypatch.undo()
    second.look_after()
    assert ship(second) == 1
    now = account(second, "b1")
    assert (now.accepted, now.in_flight, now.acknowledged, now.crashed) == (3, 0, 3, 1)


def test_the_folder_of_another_proxy_that_is_gone(house: House, tmp_path: Path) -> None:
    ours = house.open("o1", JournalHome.claim(tmp_path, "ours"))
    theirs = house.open("t1", JournalHome.claim(tmp_path, "theirs"))
    left = worker(theirs, "t1-1")
    left.finish(3)
    left.accept()
    assert ours.home.abandoned(0) == [], "its owner lives"
    house.die(theirs)
    left.die()
    assert ours.home.abandoned(1e9) == [], "it may come back"
    (home,) = ours.home.abandoned(0)
    assert house.open("o2", JournalHome.claim(tmp_path, "third")).home.abandoned(0) == [], "not two adopters"
    adopted = house.open("", home)
    found = account(adopted, "t1")
    assert (found.proxy_id, found.accepted, found.in_journal) == ("theirs", 4, 4)
    assert ship(adopted) == 4
    ship(adopted)
    (closed,) = adopted.news(adopted.accounts({}))
    assert (closed.acknowledged, closed.crashed, closed.closed) == (4, 1, True)
    adopted.told([closed])
    assert adopted.news(adopted.accounts({})) == []
    assert not adopted.is_empty
    adopted.look_after()
    assert adopted.is_empty
    adopted.close()
    assert not home.directory.exists()
    assert JournalHome.claim(tmp_path, "theirs").proxy_id == "theirs"


def test_another_redis_is_told_everything_again(house: House) -> None:
    desk = house.open("b2")
    assert house.open("", JournalHome.claim(house.data, "q")).accounts({}) == []
    own = desk.accounts({})
    desk.told(own)
    assert desk.news(own) == own, "one that is not closed is told each time"
    desk.begin_again()
    assert desk.news(own) == own

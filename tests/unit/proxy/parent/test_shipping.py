"""From the journal to Redis: in order, again after a failure, and not twice because we stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import make_event
from tests.support.proxy_in_memory import turns

from weir.events import encode
from weir.events.journal import JournalWriter
from weir.events.journal_marks import StartMarks, marks_path
from weir.events.journal_reader import JournalReader
from weir.events.writer import StreamUnavailableError, StreamWriter
from weir.proxy.parent.desk import Desk
from weir.proxy.parent.journal_home import JournalHome
from weir.proxy.parent.shipping import BATCH, Shipper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Stream(StreamWriter):
    """A stream that takes what it is given when the gate is open."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1")
        self.stored: list[bytes] = []
        self.refuses = False
        self.takes = 1 << 30
        """How many records of a batch it confirms when it refuses."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()
        self.name = "run-1"

    @property
    def server(self) -> str:
        return self.name

    async def write(self, payloads: Sequence[bytes]) -> None:
        self.writing.set()
        taken = payloads[: self.takes] if self.refuses else payloads
        self.stored += taken
        await self.gate.wait()
        if self.refuses:
            raise StreamUnavailableError("full", payloads[len(taken) :])

    async def check(self) -> None:
        if self.refuses:
            raise StreamUnavailableError("full")


class Office:
    """A shipper with the desk of this proxy's own folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.stream = Stream()
        self.desk = self.open("p", "b1")
        self.shipper = Shipper(self.desk, self.stream, lambda _shipper: None)

    def open(self, proxy_id: str, boot_id: str = "") -> Desk:
        home = JournalHome.claim(self.data, proxy_id)
        return Desk(home, JournalReader(home.directory, keep_seconds=1e9), boot_id=boot_id)

    def worker(self, name: str = "b1-1") -> JournalWriter:
        self.desk.reader.follow(name)
        return JournalWriter(self.desk.home.directory, name, max_bytes=1 << 20)

    def acknowledged(self) -> int:
        return sum(account.acknowledged for account in self.desk.accounts({}))


@pytest.fixture
async def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_batches_go_in_order(office: Office) -> None:
    journal = office.worker()
    records = [b"%d" % number for number in range(BATCH + 10)]
    for record in records:
        journal.append(record)
    assert [await office.shipper.ship_round() for _ in range(3)] == [BATCH, 10, 0]
    assert office.stream.stored == records
    assert (office.acknowledged(), office.shipper.waiting_bytes()) == (BATCH + 10, 0)


async def test_a_batch_that_is_not_confirmed_is_shipped_again(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.worker().append(b"one")
    office.stream.refuses, office.stream.takes = True, 0
    for _ in range(3):
        with pytest.raises(StreamUnavailableError):
            await office.shipper.ship_round()
    assert (office.shipper.trouble, office.acknowledged()) == ("full", 0)
    assert office.shipper.waiting_bytes() > 0
    office.stream.refuses = False
    assert await office.shipper.ship_round() == 1
    assert office.shipper.trouble is None
    assert caplog.text.count("takes no records") == 1, "said once, not each time"


async def test_what_is_confirmed_of_a_batch_is_not_sent_again(office: Office) -> None:
    journal = office.worker()
    records = [b"%d" % number for number in range(10)]
    for record in records:
        journal.append(record)
    office.stream.refuses, office.stream.takes = True, 4
    for _ in range(2):
        with pytest.raises(StreamUnavailableError):
            await office.shipper.ship_round()
    journal.append(b"10")
    assert office.acknowledged() == 0
    office.stream.refuses = False
    await office.shipper.ship_round()
    assert office.stream.stored == records
    assert office.acknowledged() == 10
    await office.shipper.ship_round()
    assert office.acknowledged() == 11


async def test_stopping_lets_the_batch_under_way_be_confirmed(office: Office) -> None:
    journal = office.worker()
    journal.append(b"one")
    office.stream.gate.clear()
    running = asyncio.create_task(office.shipper.run())
    await office.stream.writing.wait()
    journal.append(b"two")
    office.shipper.stop()
    await turns()
    assert not running.done()
    office.stream.gate.set()
    await running
    await office.shipper.ship_rest(1.0)
    assert office.stream.stored == [b"one", b"two"]
    assert office.shipper.waiting_bytes() == 0


@pytest.mark.parametrize("refuses", [True, False])
async def test_stopping_does_not_wait_for_a_pause_to_end(office: Office, refuses: bool) -> None:
    office.stream.refuses = refuses
    running = asyncio.create_task(office.shipper.run())
    await turns()
    office.shipper.stop()
    await turns()
    assert running.done()


async def test_a_cancelled_batch_is_not_taken_for_confirmed(office: Office) -> None:
    office.worker().append(b"one")
    office.stream.gate.clear()
    shipping = asyncio.create_task(office.shipper.ship_round())
    await office.stream.writing.wait()
    shipping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await shipping
    assert office.acknowledged() == 0
    office.stream.gate.set()
    assert await office.shipper.ship_round() == 1


async def test_a_server_that_is_another_one_is_told_again_what_is_kept(office: Office) -> None:
    journal = office.worker()
    journal.append(b"one")
    await office.shipper.ship_round()
    office.stream.name = "run-2"
    journal.append(b"two")
    await office.shipper.ship_round()
    await office.shipper.ship_round()
    assert await office.shipper.ship_round() == 0
    assert office.stream.stored == [b"one", b"two", b"one", b"two"]
    assert office.acknowledged() == 2


async def test_what_the_server_before_had_confirmed_of_a_batch_is_sent_to_the_next(office: Office) -> None:
    journal = office.worker()
    for number in range(4):
        journal.append(b"%d" % number)
    office.stream.refuses, office.stream.takes = True, 3
    with pytest.raises(StreamUnavailableError):
        await office.shipper.ship_round()
    office.shipper._server_is_new()  # it had been known before the batch
    office.stream.refuses, office.stream.name = False, "run-2"
    office.stream.stored.clear()
    await office.shipper.ship_round()
    await office.shipper.ship_round()
    assert {b"0", b"1", b"2", b"3"} <= set(office.stream.stored)


async def test_a_dead_worker_leaves_its_records_first_then_its_open_marks(office: Office) -> None:
    journal, marks = office.worker(), StartMarks(office.desk.home.directory, "b1-1", 3)
    finished, open_one = encode(make_event()), encode(make_event(outcome="internal_error"))
    slot = marks.take()
    assert slot is not None
    marks.mark(slot, open_one)
    journal.append(finished)
    office.desk.ended("b1-1", None)
    office.desk.ended("b1-1", None)
    await office.shipper.ship_round()
    await office.shipper.ship_round()
    assert office.stream.stored == [finished, open_one]


async def test_what_an_earlier_life_left_is_adopted(tmp_path: Path) -> None:
    office = Office(tmp_path)
    directory = office.desk.home.directory
    earlier, marks = JournalWriter(directory, "old-1", max_bytes=1 << 20), StartMarks(directory, "old-1", 1)
    earlier.append(b"left")
    slot = marks.take()
    assert slot is not None
    cut_off = encode(make_event())
    marks.mark(slot, cut_off)
    marks.close()
    office.desk.adopt_left_behind()
    await office.shipper.ship_rest(1.0)
    assert office.stream.stored == [b"left", cut_off]


async def test_a_folder_that_is_taken_over_is_shipped_too(office: Office) -> None:
    office.worker().append(b"ours")
    await office.shipper.ship_round()
    other = office.open("q")
    for name, server in (("old-1", "run-1"), ("old-2", "run-0")):
        journal = JournalWriter(other.home.directory, name, max_bytes=1 << 20)
        StartMarks(other.home.directory, name, 1).close()
        journal.append(b"first of " + name.encode())
        reading = JournalReader(other.home.directory, keep_seconds=1e9)
        reading.adopt(name)
        reading.acknowledge(reading.read(1), server)
        journal.append(b"second of " + name.encode())
        reading.close()
        assert marks_path(other.home.directory, name).exists()
    other.adopt_left_behind()
    office.shipper.take_over(other)
    await office.shipper.ship_rest(1.0)
    assert sorted(office.stream.stored) == [
        b"first of old-2",  # another Redis had confirmed it
        b"ours",
        b"second of old-1",
        b"second of old-2",
    ]


async def test_what_workers_of_a_killed_parent_finish_is_waited_for_and_shipped_at_the_end(
    office: Office,
) -> None:
    directory = office.desk.home.directory
    orphan, marks = JournalWriter(directory, "old-1", max_bytes=1 << 20), StartMarks(directory, "old-1", 1)
    slot = marks.take()
    assert slot is not None
    marks.mark(slot, encode(make_event()))
    office.desk.look_after()
    assert office.shipper.waiting_bytes() > 0, "what is in flight there becomes a record, too"
    orphan.append(b"finished")
    marks.release(slot)
    assert office.shipper.waiting_bytes() > 0
    await office.shipper.ship_rest(1.0)
    assert office.stream.stored == [], "it may not be done yet"
    marks.close()
    await office.shipper.ship_rest(1.0)
    assert office.stream.stored == [b"finished"]
    assert office.shipper.waiting_bytes() == 0


async def test_who_is_adopted_late_had_its_records_confirmed_by_the_redis_of_before(office: Office) -> None:
    """A parent and Redis die together; the parent's workers end when another parent knows another Redis."""
    directory = office.desk.home.directory
    orphan, marks = JournalWriter(directory, "old-1", max_bytes=1 << 20), StartMarks(directory, "old-1", 1)
    orphan.append(b"confirmed")
    reading = JournalReader(directory, keep_seconds=1e9)
    reading.adopt("old-1")
    reading.acknowledge(reading.read(1), "run-0")
    reading.close()
    running = asyncio.create_task(office.shipper.run())
    office.worker().append(b"ours")
    await office.stream.writing.wait()
    marks.close()
    office.shipper.stop()
    await running
    await office.shipper.ship_rest(1.0)
    assert sorted(office.stream.stored) == [b"confirmed", b"ours"]


async def test_before_the_end_redis_is_asked_whether_it_has_what_it_confirmed(office: Office) -> None:
    office.worker().append(b"one")
    await office.shipper.ship_round()
    office.stream.name = "run-2"
    await office.shipper.ship_rest(1.0)
    assert office.stream.stored == [b"one", b"one"]


async def test_what_cannot_be_shipped_at_the_end_stays(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.worker().append(b"one")
    office.stream.gate.clear()
    await office.shipper.ship_rest(0.01)
    assert "stay in the journal for the next start" in caplog.text
    assert office.shipper.waiting_bytes() > 0

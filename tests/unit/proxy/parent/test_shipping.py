"""From the journal to Redis: in order, again after a failure, and not twice because we stop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from tests.support.builders import make_event
from tests.support.proxy_in_memory import turns

from weir.events import encode
from weir.events.journal import JournalWriter, StartMarks, marks_path
from weir.events.journal_reader import JournalReader
from weir.events.writer import StreamUnavailableError, StreamWriter
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
        self.gate = asyncio.Event()
        self.gate.set()
        self.writing = asyncio.Event()

    async def write(self, payloads: Sequence[bytes]) -> None:
        self.writing.set()
        self.stored += payloads
        await self.gate.wait()
        if self.refuses:
            raise StreamUnavailableError("full")

    async def check(self) -> None:
        if self.refuses:
            raise StreamUnavailableError("full")


class Desk:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stream = Stream()
        self.own = JournalWriter(directory, "own", max_bytes=1 << 20)
        self.shipper = Shipper(directory, JournalReader(directory, keep_seconds=0), self.stream, self.own)
        self.shipper.follow("own")

    def worker(self, name: str = "w1") -> JournalWriter:
        self.shipper.follow(name)
        return JournalWriter(self.directory, name, max_bytes=1 << 20)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_batches_go_in_order(desk: Desk) -> None:
    journal = desk.worker()
    records = [b"%d" % number for number in range(BATCH + 10)]
    for record in records:
        journal.append(record)
    assert await desk.shipper.ship_batch() == BATCH
    assert await desk.shipper.ship_batch() == 10
    assert await desk.shipper.ship_batch() == 0
    assert desk.stream.stored == records
    assert (desk.shipper.acknowledged, desk.shipper.waiting_bytes()) == (BATCH + 10, 0)


async def test_a_batch_that_is_not_confirmed_is_shipped_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.worker().append(b"one")
    desk.stream.refuses = True
    for _ in range(3):
        with pytest.raises(StreamUnavailableError):
            await desk.shipper.ship_batch()
    assert (desk.shipper.trouble, desk.shipper.acknowledged) == ("full", 0)
    assert desk.shipper.waiting_bytes() > 0
    desk.stream.refuses = False
    assert await desk.shipper.ship_batch() == 1
    assert desk.shipper.trouble is None
    assert caplog.text.count("takes no records") == 1, "said once, not each time"


async def test_stopping_lets_the_batch_under_way_be_confirmed(desk: Desk) -> None:
    journal = desk.worker()
    journal.append(b"one")
    desk.stream.gate.clear()
    running = asyncio.create_task(desk.shipper.run())
    await desk.stream.writing.wait()
    journal.append(b"two")
    desk.shipper.stop()
    await turns()
    assert not running.done()
    desk.stream.gate.set()
    await running
    await desk.shipper.ship_rest(1.0)
    assert desk.stream.stored == [b"one", b"two"]
    assert desk.shipper.waiting_bytes() == 0


@pytest.mark.parametrize("refuses", [True, False])
async def test_stopping_does_not_wait_for_a_pause_to_end(desk: Desk, refuses: bool) -> None:
    desk.stream.refuses = refuses
    running = asyncio.create_task(desk.shipper.run())
    await turns()
    desk.shipper.stop()
    await turns()
    assert running.done()


async def test_a_cancelled_batch_is_not_taken_for_confirmed(desk: Desk) -> None:
    desk.worker().append(b"one")
    desk.stream.gate.clear()
    shipping = asyncio.create_task(desk.shipper.ship_batch())
    await desk.stream.writing.wait()
    shipping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await shipping
    assert desk.shipper.acknowledged == 0
    desk.stream.gate.set()
    assert await desk.shipper.ship_batch() == 1


async def test_a_server_that_is_another_one_is_told_again_what_is_kept(desk: Desk) -> None:
    journal = desk.worker()
    journal.append(b"one")
    await desk.shipper.ship_batch()
    desk.stream.server_changed = True
    journal.append(b"two")
    await desk.shipper.ship_batch()
    assert not desk.stream.server_changed
    await desk.shipper.ship_batch()
    assert desk.stream.stored == [b"one", b"two", b"one", b"two"]


async def test_a_dead_worker_leaves_its_records_first_then_its_open_marks(desk: Desk) -> None:
    journal, marks = desk.worker(), StartMarks(desk.directory, "w1", 3)
    finished, open_one = encode(make_event()), encode(make_event(outcome="internal_error"))
    slot = marks.take()
    assert slot is not None
    marks.mark(slot, open_one)
    journal.append(finished)
    desk.shipper.ended("w1")
    desk.shipper.ended("w1")
    await desk.shipper.ship_batch()
    await desk.shipper.ship_batch()
    assert sorted(desk.stream.stored) == sorted([finished, open_one])
    assert desk.shipper.crash_records == 1
    assert not marks_path(desk.directory, "w1").exists()


async def test_what_an_earlier_life_left_is_adopted(tmp_path: Path) -> None:
    earlier, marks = JournalWriter(tmp_path, "old-1", max_bytes=1 << 20), StartMarks(tmp_path, "old-1", 1)
    earlier.append(b"left")
    slot = marks.take()
    assert slot is not None
    marks.mark(slot, b"open")
    desk = Desk(tmp_path)
    desk.shipper.adopt_left_behind()
    await desk.shipper.ship_rest(1.0)
    assert sorted(desk.stream.stored) == [b"left", b"open"]
    assert os.listdir(tmp_path) == ["own-00000001.segment"]  # noqa: PTH208 - a Path would be said to block


async def test_what_cannot_be_shipped_at_the_end_stays(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.worker().append(b"one")
    desk.stream.gate.clear()
    await desk.shipper.ship_rest(0.01)
    assert "stay in the journal for the next start" in caplog.text
    assert desk.shipper.waiting_bytes() > 0

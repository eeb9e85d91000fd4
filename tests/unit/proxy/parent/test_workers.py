"""A worker's seat: what a new life is told, and that there always is a next one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.support.proxy_in_memory import turns

from weir.proxy.parent.workers import WorkerSeat
from weir.proxy.upstream import Upstream
from weir.proxy.worker_plan import Config, WorkerPlan
from weir.servicekit.run import StartError
from weir.servicekit.tasks import BackgroundTasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def config(name: str) -> Config:
    return Config(upstreams=(Upstream(name=name, url="http://h"),), clients={})


class Process:
    """A worker's process that does what it is told here."""

    def __init__(self) -> None:
        self.stdin = self
        self.stdout = asyncio.StreamReader()
        self.returncode: int | None = None
        self.pid = 7
        self.lines: list[bytes] = []
        self.is_stopped = False
        self._ended = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.lines.append(data)

    def close(self) -> None:
        self.is_stopped = True

    def kill(self) -> None:
        self.end(-9)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def be_ready(self) -> None:
        self.stdout.feed_data(b"ready\n")
        await turns()

    def end(self, code: int) -> None:
        self.returncode = code
        self.stdout.feed_eof()
        self._ended.set()

    def told(self) -> list[str]:
        """The name of the upstream in the plan and in each later configuration."""
        plan, *rest = self.lines
        configs = [msgspec.json.decode(plan, type=WorkerPlan).config]
        configs += [msgspec.json.decode(line, type=Config) for line in rest]
        return [one.upstreams[0].name for one in configs]


class House:
    """A seat, the processes that sat in it, and the configuration in force."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = config("first")
        self.processes: list[Process] = []
        self.failures: list[OSError] = []
        self.ended: list[WorkerPlan] = []
        self.counted: list[dict[str, int]] = []
        self.pauses: list[float] = []
        self.starting = 0
        self.tasks = BackgroundTasks()
        self.first_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seat = WorkerSeat(0, os.open(os.devnull, os.O_RDONLY), self._plan, self._end)
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self._start)
        monkeypatch.setattr(asyncio, "sleep", self._sleep)
        self.keeping = self.tasks.start("keep", self.seat.keep(self.first_ready))

    def reload(self, name: str) -> None:
        self.config = config(name)
        self.seat.reload(self.config)

    async def _start(self, *_: object, **__: object) -> Process:
        self.starting += 1
        await turns()
        self.starting -= 1
        if self.failures:
            raise self.failures.pop()
        self.processes.append(Process())
        return self.processes[-1]

    async def _sleep(self, seconds: float) -> None:
        if seconds:
            self.pauses.append(seconds)
        await _really_sleep(0)

    def _end(self, plan: WorkerPlan, counted: dict[str, int]) -> None:
        self.ended.append(plan)
        self.counted.append(counted)

    def _plan(self, listen_fd: int, counters_fd: int, measures_fd: int) -> WorkerPlan:
        numbers = dict.fromkeys(
            (
                *("journal_max_bytes", "max_in_flight", "max_body_bytes", "connect_timeout"),
                *("max_upload_bytes", "min_body_rate"),
                *("first_byte_timeout", "idle_timeout", "total_timeout", "head_timeout"),
                *("keep_alive_timeout", "drain_seconds", "metrics_models"),
            ),
            1,
        )
        values: dict[str, Any] = {
            **numbers,
            **dict.fromkeys(("writer", "proxy_id", "journal_directory", "log_level", "log_format"), "x"),
            "open_groups": (),
            "cors_origins": (),
            "proxy_protocol": False,
            "journal_sync": False,
            "journal_reject": False,
            "config": self.config,
        }
        return WorkerPlan(listen_fd=listen_fd, counters_fd=counters_fd, measures_fd=measures_fd, **values)


_really_sleep = asyncio.sleep


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    house = House(monkeypatch)
    yield house
    await house.tasks.close()
    house.seat.close()


async def test_a_worker_gets_its_plan_and_is_ready_when_it_says_so(house: House) -> None:
    await turns()
    await turns()
    (process,) = house.processes
    assert process.told() == ["first"]
    assert not house.seat.is_ready
    await process.be_ready()
    assert house.seat.is_ready
    assert house.first_ready.done()
    assert repr(house.seat) == "<WorkerSeat 0 pid 7 ready>"


async def test_a_ready_worker_is_told_of_another_configuration(house: House) -> None:
    await turns()
    await turns()
    await house.processes[0].be_ready()
    house.reload("second")
    house.reload("third")
    assert house.processes[0].told() == ["first", "second", "third"]


async def test_one_that_is_just_starting_is_told_when_it_is_ready(house: House) -> None:
    house.reload("before its process is there")
    await turns()
    await turns()
    house.reload("before it is ready")
    process = house.processes[0]
    assert len(process.told()) == 1
    await process.be_ready()
    assert process.told()[1:] == ["before it is ready"]


async def test_a_dead_worker_has_a_successor_with_the_configuration_in_force(house: House) -> None:
    await turns()
    await turns()
    await house.processes[0].be_ready()
    house.reload("second")
    house.processes[0].end(-9)
    for _ in range(4):
        await turns()
    assert len(house.ended) == 1
    assert house.processes[1].told() == ["second"]
    await house.processes[1].be_ready()
    assert house.processes[1].told() == ["second"]


async def test_a_successor_that_cannot_be_started_is_tried_again(house: House) -> None:
    await turns()
    await turns()
    await house.processes[0].be_ready()
    house.failures = [BlockingIOError(11, "Resource temporarily unavailable") for _ in range(3)]
    house.processes[0].end(1)
    for _ in range(12):
        await turns()
    await house.processes[1].be_ready()
    assert house.seat.is_ready
    assert len(house.ended) == 4, "each life that was planned is over for its journal"
    assert house.pauses == sorted(house.pauses), "less and less often"


async def test_a_first_worker_that_cannot_be_started_is_said(house: House) -> None:
    house.failures = [OSError(12, "Cannot allocate memory")]
    with pytest.raises(StartError, match="before it was ready"):
        await house.first_ready
    await house.keeping


async def test_a_first_worker_that_dies_at_once_is_said(house: House) -> None:
    await turns()
    await turns()
    house.processes[0].end(2)
    with pytest.raises(StartError, match="code 2"):
        await house.first_ready
    assert len(house.ended) == 1


async def test_a_stopped_seat_stays_empty(house: House) -> None:
    await turns()
    await turns()
    process = house.processes[0]
    await process.be_ready()
    house.seat.stop()
    assert process.is_stopped
    process.end(0)
    await house.keeping
    assert len(house.processes) == 1
    assert not house.seat.is_ready


async def test_a_stop_reaches_the_process_that_is_just_being_made(house: House) -> None:
    await turns()
    await turns()
    await house.processes[0].be_ready()
    house.processes[0].end(-9)
    while not house.starting:
        await _really_sleep(0)
    house.seat.stop()
    async with asyncio.timeout(30):
        await house.keeping
    assert [process.returncode for process in house.processes] == [-9, -9]

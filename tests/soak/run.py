"""One soak: the installation, everybody who uses it, what breaks in turn, and the looks at it in between."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from redis import Redis
from tests.fault.balance import Balance, compare
from tests.fault.clients import Clients
from tests.fault.faults import kill_api, kill_redis
from tests.fault.installation import QUIET_SECONDS, Installation, Kind, Service, kill, running_workers
from tests.fault.ledger import Ledger
from tests.soak.hostile import MANNERS, Hostile
from tests.soak.measuring import MB, Course, Sample, courses, look
from tests.soak.watchers import Watchers
from tests.support.builders import make_event
from tests.support.raw_http import IncompleteAnswerError, fetch
from tests.support.redis_server import free_port

from weir.events import encode
from weir.events.stream import FIELD, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.postgres_server import PostgresServer

CLIENTS: Final = 24
HOSTILE_OF_EACH: Final = 2
LISTENERS: Final = 3
LOOK_SECONDS: Final = 5.0
BACKLOG_STEP: Final = 1000
LAST_US: Final = 3_600_000_000
"""The hour that a backlog is of."""
MODELS: Final = ("answer-2026-01-01", "llama3", "qwen3", "mistral")
TELL_EVERY: Final = 12
"""Looks: a line a minute."""
AFTERWARDS_SECONDS: Final = 15.0
"""So long after a fault the dashboard may still show it."""
NOT_OURS: Final = "Redis"
KILLED: Final = "proxy, worker that is killed"
SHORT_LIVED: Final = frozenset({NOT_OURS, KILLED})
_TASKS: Final = re.compile(rb"^weir_tasks (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a soak does; times in seconds, `rate` in requests a second."""

    seed: str
    kind: Kind
    seconds: float
    rate: float
    fault_every: float
    warm_up: float
    """The part of a life that is not judged."""
    backlog: int
    """Records that come at once when the metrics API has been killed for the last time, as from a proxy that
    was cut off: they fill its caches, which would otherwise grow for hours until they are full.
    """


@dataclass(slots=True)
class Report:
    """How it went."""

    samples: list[Sample] = field(default_factory=list[Sample])
    courses: list[str] = field(default_factory=list[str])
    backlog: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    others: str = ""
    balance: Balance = field(default_factory=Balance)
    unaccounted: int | None = None
    complaints: list[str] = field(default_factory=list[str])
    grown: list[str] = field(default_factory=list[str])

    @property
    def failures(self) -> list[str]:
        return [*self.grown, *self.complaints, *self.balance.differences]

    def __str__(self) -> str:
        balance = self.balance
        columns = f"{'minutes':>7} {'first third':>12} {'last third':>12} {'an hour':>10}"
        return "\n".join(
            [
                f"{'after the warm-up':28} {columns}",
                *self.courses,
                "faults: " + ", ".join(f"{name} {times}" for name, times in self.faults.items()),
                self.others,
                (
                    f"{balance.requests} requests in the ledger, {balance.rows} rows; "
                    f"lost {len(balance.lost)}, doubled {len(balance.doubled)}, wrong {len(balance.wrong)}, "
                    f"unknown {len(balance.unknown)}, sums that differ {len(balance.sums)}, "
                    f"unaccounted {self.unaccounted}"
                ),
            ]
        )


class Soak:
    """Use once: `await Soak(…).run()`."""

    def __init__(
        self, plan: Plan, directory: Path, postgres: PostgresServer | None, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._say = say
        self._report = Report()
        self._ledger = Ledger()
        self._installation = Installation(directory, plan.kind, postgres)
        self._dashboard: Service
        self._began = 0.0
        self._trouble_at = 0.0
        self._trouble = 0
        self._kept_worker = 0
        self._next_ask = 0.0
        self._hostile: list[Hostile] = []
        self._watchers = Watchers(self._ledger, lambda: self._dashboard.process.url, self._dashboard_excuse)

    async def run(self) -> Report:
        """Everything, and the end of every process, whatever happens."""
        report = self._report
        try:
            await asyncio.to_thread(self._start)
            await self._load()
            await self._installation.quiet()
            report.unaccounted = await self._unaccounted()
            await self._stop()
            report.balance = await compare(self._ledger, self._plan.kind, self._installation.database)
        finally:
            await asyncio.to_thread(self._end)
        report.complaints += self._ledger.complaints
        if report.unaccounted != 0:
            report.complaints.append(f"unaccounted: {report.unaccounted}")
        self._judge()
        watchers = self._watchers
        report.others = (
            f"hostile connections: {sum(each.done for each in self._hostile)}; at the dashboard: "
            f"{watchers.answers} answers, {watchers.messages} live messages, {watchers.refusals} refusals"
        )
        return report

    def _start(self) -> None:
        installation = self._installation
        installation.start()
        self._dashboard = Service(
            "weir.dashboard",
            installation.directory,
            {
                "WEIR_DASHBOARD_LISTEN": f"127.0.0.1:{free_port()}",
                "WEIR_BACKEND_URL": installation.apis[0].process.url,
                "WEIR_LOG_FORMAT": "json",
            },
        )
        self._dashboard.start()

    async def _stop(self) -> None:
        assert await asyncio.to_thread(self._dashboard.process.stop) == 0, self._dashboard.log
        await self._installation.stop()

    def _end(self) -> None:
        dashboard = getattr(self, "_dashboard", None)
        if dashboard is not None and hasattr(dashboard, "process") and dashboard.process.running():
            dashboard.kill()
        self._installation.end()

    # -- the load

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        self._began = self._next_ask = loop.time()
        end = self._began + self._plan.seconds
        self._kept_worker = (await running_workers(self._installation))[0]
        clients = Clients(
            self._ledger,
            lambda: self._installation.proxy.process.url,
            self._installation.excuse,
            seed=self._plan.seed,
            clients=CLIENTS,
            more=lambda: loop.time() < end,
            pace=self._pace,
        )
        beside = [asyncio.create_task(work) for work in self._beside()]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(clients.run())
                group.create_task(self._break(end))
        finally:
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
        self._report.complaints += [repr(error) for error in ended if isinstance(error, Exception)]

    async def _pace(self) -> None:
        """Let so many through a second; what could not be asked in time is not caught up on."""
        now = asyncio.get_running_loop().time()
        self._next_ask = max(now, self._next_ask + 1 / self._plan.rate)
        await asyncio.sleep(self._next_ask - now)

    def _beside(self) -> Iterator[Any]:
        installation = self._installation
        for number, manner in enumerate(MANNERS * HOSTILE_OF_EACH):
            source = random.Random(f"{self._plan.seed}/hostile/{number}")  # noqa: S311 - to be repeated
            hostile = Hostile(
                self._ledger,
                lambda: installation.proxy.process.url,
                installation.excuse,
                source,
                f"{manner.__name__}-{number}",
            )
            self._hostile.append(hostile)
            yield hostile.run(manner)
        for _ in range(LISTENERS):
            yield self._watchers.listen()
        yield self._watchers.ask()
        yield self._watchers.harm()
        yield self._look()

    # -- what breaks

    async def _break(self, end: float) -> None:
        loop = asyncio.get_running_loop()
        source = random.Random(f"{self._plan.seed}/faults")  # noqa: S311 - to be repeated
        half = self._began + self._plan.seconds / 2
        faults = itertools.cycle(("Redis killed", "metrics API killed", "worker killed"))
        last = end - self._plan.fault_every / 2
        while (wait := self._plan.fault_every) and loop.time() + wait < last:
            await asyncio.sleep(wait)
            name = next(faults)
            if name == "metrics API killed" and loop.time() > half:
                name = next(faults)  # its last life is to be a long one
                if not self._report.backlog:
                    await asyncio.to_thread(self._send_backlog)
            self._trouble += 1
            if name == "Redis killed":
                await kill_redis(self._installation, source)
            elif name == "metrics API killed":
                await kill_api(self._installation, source)
            else:
                await self._kill_worker()
            self._trouble -= 1
            self._trouble_at = loop.time()
            self._report.faults[name] += 1

    def _send_backlog(self) -> None:
        """Requests of the last hour, which the ledger knows like all others."""
        source = random.Random(f"{self._plan.seed}/backlog")  # noqa: S311 - to be repeated
        now = time.time_ns() // 1000
        with Redis.from_url(self._installation.redis.url, socket_timeout=30) as redis:
            for start in range(0, self._plan.backlog, BACKLOG_STEP):
                pipe = redis.pipeline(transaction=False)
                for number in range(start, min(start + BACKLOG_STEP, self._plan.backlog)):
                    mark = f"backlog-{number}"
                    event = make_event(
                        started_at=now - LAST_US + LAST_US * number // self._plan.backlog,
                        client_request_id=mark,
                        user=f"user-{source.randrange(1000)}",
                        model=source.choice(MODELS),
                    )
                    self._ledger.whole(
                        event.client_request_id or "", "backlog", event.request_id, "completed", None
                    )
                    pipe.xadd(REQUESTS, {FIELD: encode(event)})
                pipe.execute()
        self._report.backlog = self._plan.backlog

    async def _kill_worker(self) -> None:
        """One of those that are not to live for long."""
        installation = self._installation
        workers = await running_workers(installation)
        installation.remember_workers()
        installation.proxy_died()
        kill(next(pid for pid in workers if pid != self._kept_worker))
        installation.proxy_died()

    def _dashboard_excuse(self, since: float) -> bool:
        return bool(self._trouble) or since < self._trouble_at + AFTERWARDS_SECONDS

    # -- what is seen

    async def _look(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(LOOK_SECONDS)
            at = asyncio.get_running_loop().time() - self._began
            tasks = await self._tasks()
            found = [look(at, name, pid, tasks.get(pid)) for name, pid in self._processes()]
            samples = [sample for sample in found if sample]
            self._report.samples += samples
            if number % TELL_EVERY == 0:
                self._say(await self._line(at, samples))

    def _processes(self) -> Iterator[tuple[str, int]]:
        installation = self._installation
        yield "proxy, parent", installation.proxy.process.pid
        for pid in installation.workers():
            yield "proxy, worker" if pid == self._kept_worker else KILLED, pid
        for number, api in enumerate(installation.apis):
            yield f"metrics API {number + 1}", api.process.pid
        yield "dashboard", self._dashboard.process.pid
        if installation.redis.pid is not None:
            yield NOT_OURS, installation.redis.pid

    async def _tasks(self) -> dict[int, float]:
        """Of the metrics APIs' event loops, by process; what does not answer is left out."""
        found: dict[int, float] = {}
        for api in self._installation.apis:
            process = api.process
            with contextlib.suppress(OSError, IncompleteAnswerError, TimeoutError):
                answer = await fetch(process.url, "GET", "/metrics")
                if told := _TASKS.search(answer.body):
                    found[process.pid] = float(told[1])
        return found

    async def _line(self, at: float, samples: list[Sample]) -> str:
        pipeline = await self._installation.pipeline()
        total: dict[str, Any] = pipeline["total"] if pipeline else {}
        places = ("accepted", "stored", "in_journal", "in_stream", "unaccounted")
        counts = ", ".join(f"{place} {total.get(place)}" for place in places)
        held = "; ".join(
            f"{each.name} {each.rss / MB:.1f} MB {each.descriptors:.0f} fd {each.threads:.0f} th"
            for each in samples
        )
        return f"{at / 60:5.1f} min  {counts}  |  {held}"

    async def _unaccounted(self) -> int | None:
        """The metrics API's own account, as soon as it knows."""
        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_SECONDS
        missing: int | None = None
        while loop.time() < end:
            answer = await self._installation.pipeline()
            missing = answer["total"]["unaccounted"] if answer else None
            if missing == 0:
                break
            await asyncio.sleep(0.5)
        return missing

    def _judge(self) -> None:
        report = self._report
        names = dict.fromkeys(sample.name for sample in report.samples)
        for name in names:
            found = courses([each for each in report.samples if each.name == name], self._plan.warm_up)
            if not found and name not in SHORT_LIVED:
                report.grown.append(f"no life of {name} was long enough to be judged")
            for course in found:
                report.courses.append(_line(course))
                if not course.is_flat and name != NOT_OURS:
                    report.grown.append(
                        f"{name}: {course.what} went from {course.early:g} to {course.late:g}"
                    )


def _line(course: Course) -> str:
    scale, unit = (MB, "MB") if course.what == "rss" else (1.0, "  ")
    early, late, slope = (value / scale for value in (course.early, course.late, course.slope))
    return (
        f"{f'{course.name}, {course.what}':28} {course.seconds / 60:7.1f} {early:9.1f} {unit} "
        f"{late:9.1f} {unit} {slope:+7.2f} {unit} {'flat' if course.is_flat else 'GROWS'}"
    )

"""A round: load, faults at random points of it, quiet, and the comparison."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fault.balance import Balance, compare
from tests.fault.clients import Clients
from tests.fault.faults import FAULTS, Fault
from tests.fault.inquest import inquest
from tests.fault.installation import QUIET_SECONDS, Installation, Kind
from tests.fault.ledger import Ledger

if TYPE_CHECKING:
    from tests.support.postgres_server import PostgresServer

CLIENTS: Final = 64
"""As many ask at the same time. More of them get a busy machine to do more."""
AT_ONCE: Final = 3
"""Faults under way at the same time, each in another part."""
SHOWN: Final = 20
"""Failures that are shown; all are in the file that is kept."""
_LOAD_STEP: Final = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round does. The seed decides which faults come after how many requests, and who asks what."""

    seed: str
    kind: Kind
    kills: int
    requests: int
    clients: int = CLIENTS

    @property
    def command(self) -> str:
        """What repeats it."""
        return (
            f"python -m tests.fault --seed {self.seed} --store {self.kind} "
            f"--kills {self.kills} --requests {self.requests} "
            f"--clients {self.clients} --rounds 1 --stops 0"
        )

    def faults(self) -> list[tuple[int, Fault]]:
        """After how many requests which fault comes: as many as it takes for so many kills."""
        source = random.Random(f"{self.seed}/faults")  # noqa: S311 - to be repeated, not to be secret
        possible = [fault for fault in FAULTS if fault.only in {None, self.kind}]
        chosen: list[Fault] = []
        while sum(fault.kills for fault in chosen) < self.kills:
            chosen.append(source.choices(possible, [fault.weight for fault in possible])[0])
        moments = sorted(source.randrange(self.requests) for _ in chosen)
        return list(zip(moments, chosen, strict=True))


@dataclass(slots=True)
class Report:
    """How a round went."""

    plan: Plan
    faults: Counter[str] = field(default_factory=Counter[str])
    kills: int = 0
    seconds: float = 0.0
    refused: int = 0
    unsure: int = 0
    """Requests whose answer did not come, so that there may be a row or none."""
    balance: Balance = field(default_factory=Balance)
    complaints: list[str] = field(default_factory=list[str])
    pipeline: str = "not asked"
    timeline: list[str] = field(default_factory=list[str])
    """When each fault began and ended."""
    known: list[str] = field(default_factory=list[str])
    """What the files say of the first lost requests."""
    kept: Path | None = None
    """Where logs, journal, database and Redis's file of a failed round are."""

    @property
    def failures(self) -> list[str]:
        return [*self.complaints, *self.balance.differences]

    @property
    def explained(self) -> str:
        """All that is known of a failed round."""
        return "\n".join(
            [
                f"repeat with: {self.plan.command}",
                f"kept in: {self.kept}",
                str(self),
                *self.failures[:SHOWN],
                *self.known,
                *self.timeline,
            ]
        )

    def __str__(self) -> str:
        balance = self.balance
        outcomes = ", ".join(f"{name} {count}" for name, count in balance.by_outcome.most_common())
        faults = ", ".join(f"{name} {count}" for name, count in self.faults.most_common())
        return (
            f"{self.plan.kind}, seed {self.plan.seed}: {self.kills} kills, {balance.requests} requests, "
            f"{balance.rows} rows in {self.seconds:.0f} s\n"
            f"  faults: {faults}\n"
            f"  rows: {outcomes}; {balance.tokens} tokens\n"
            f"  answers that did not come: {self.unsure}; connections that nobody took: {self.refused}\n"
            f"  lost {len(balance.lost)}, doubled {len(balance.doubled)}, wrong {len(balance.wrong)}, "
            f"unknown {len(balance.unknown)}, sums that differ {len(balance.sums)}, "
            f"seen by clients {len(self.complaints)}; pipeline: {self.pipeline}"
        )


async def run_round(plan: Plan, postgres: PostgresServer | None, keep: Path | None = None) -> Report:
    """Do it. Where `keep` is given, what a failed round leaves behind is kept there."""
    directory = Path(tempfile.mkdtemp(prefix="weir-fault-"))
    began = time.monotonic()
    installation = await asyncio.to_thread(Installation, directory, plan.kind, postgres)
    report = Report(plan)
    ledger = Ledger()
    try:
        await asyncio.to_thread(installation.start)
        await _load(plan, installation, ledger, report)
        await installation.quiet()
        await _ask_pipeline(installation, report)
        await installation.stop()
        report.balance = await compare(ledger, plan.kind, installation.database)
    except Exception as error:  # noqa: BLE001 - the next round goes on; this one has failed
        report.complaints.append("".join(traceback.format_exception(error)))
    finally:
        await asyncio.to_thread(installation.end)
        report.seconds = time.monotonic() - began
        report.refused = ledger.refused
        report.unsure = sum(entry.request_id is None for entry in ledger.entries)
        report.complaints += ledger.complaints
        _put_away(installation, report, keep)
    return report


async def _load(plan: Plan, installation: Installation, ledger: Ledger, report: Report) -> None:
    clients = Clients(
        ledger,
        lambda: installation.proxy.process.url,
        installation.excuse,
        seed=plan.seed,
        clients=plan.clients,
        more=lambda: ledger.sent < plan.requests,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(clients.run())
        group.create_task(_break(plan, installation, ledger, report))


async def _break(plan: Plan, installation: Installation, ledger: Ledger, report: Report) -> None:
    """Let each fault come when its number of requests has been sent."""
    parts = {fault.part: asyncio.Lock() for fault in FAULTS}
    room = asyncio.Semaphore(AT_ONCE)

    async def come(fault: Fault, source: random.Random) -> None:
        async with parts[fault.part], room:
            report.timeline.append(_moment(f"{fault.name}, after {ledger.sent} requests"))
            await fault.work(installation, source)
            report.timeline.append(_moment(f"{fault.name}: over"))
        report.faults[fault.name] += 1
        report.kills += fault.kills

    async with asyncio.TaskGroup() as group:
        for number, (moment, fault) in enumerate(plan.faults()):
            while ledger.sent < moment:  # noqa: ASYNC110 - the ledger is counted in, it tells nobody
                await asyncio.sleep(_LOAD_STEP)
            source = random.Random(f"{plan.seed}/fault/{number}")  # noqa: S311 - to be repeated
            group.create_task(come(fault, source))


async def _ask_pipeline(installation: Installation, report: Report) -> None:
    """The metrics API's own account must come to the same: nothing is unaccounted for.

    Proxies tell it once a second how far they are, so it is asked until it knows.
    """
    end = time.monotonic() + QUIET_SECONDS
    while True:
        answer = await installation.pipeline()
        if answer is not None:
            report.pipeline = f"unaccounted {answer['total']['unaccounted']}"
            if answer["total"]["unaccounted"] == 0:
                return
        if time.monotonic() > end:
            report.complaints.append(f"not everything is accounted for: {answer}")
            return
        await asyncio.sleep(0.2)


def _moment(what: str) -> str:
    return f"{datetime.now(UTC):%H:%M:%S.%f} UTC {what}"


def _put_away(installation: Installation, report: Report, keep: Path | None) -> None:
    if keep is not None and (report.failures or not report.balance.rows):
        report.kept = kept = keep / f"{report.plan.seed}-{report.plan.kind}"
        report.known = [inquest(installation.directory, one) for one in report.balance.lost_ids[:SHOWN]]
        shutil.copytree(installation.directory, kept, dirs_exist_ok=True)
        services = {"proxy": installation.proxy}
        services |= {f"api-{number}": api for number, api in enumerate(installation.apis)}
        for name, service in services.items():
            if hasattr(service, "process"):
                (kept / f"{name}.log").write_text(service.log)
        (kept / "failures.txt").write_text("\n".join([report.explained, "", *report.failures]))
    shutil.rmtree(installation.directory, ignore_errors=True)

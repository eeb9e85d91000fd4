"""Run Weir for long under mixed load, faults and hostile clients, and see whether anything grows.

    make soak ARGS="--minutes 120 --rate 200"

Clients of every kind ask at a steady rate and keep a ledger; hostile ones send slow heads, half-open and
reset connections, garbage; people look at the dashboard. Redis is killed and started, a worker and the
metrics API are killed, in turn; in the second half the metrics API and one worker are left alone, so that
each kind of process has one life that is long enough to be judged, and a backlog of records comes at once.
It prints what every process holds each minute, and at the end the course of each number after the warm-up,
rows against the ledger, and the verdict. It ends with 1 if anything grew, was lost or was seen by a client
that must not be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.soak.run import Plan, Soak
from tests.support.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_MINUTES: Final = 24 * 60
_SHOWN: Final = 20


def main() -> int:
    options = _options()
    plan = Plan(
        seed=options.seed,
        kind=options.store,
        seconds=options.minutes * 60,
        rate=options.rate,
        fault_every=options.fault_every,
        warm_up=options.warm_up,
        backlog=options.backlog,
    )
    postgres = PostgresServer() if plan.kind == "postgres" else None
    try:
        if postgres:
            postgres.start()
        return asyncio.run(_run(plan, postgres))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    finally:
        if postgres:
            postgres.close()


async def _run(plan: Plan, postgres: PostgresServer | None) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="weir-soak-") as folder:
        soak = Soak(plan, Path(folder), postgres, _say)
        _say(f"seed {plan.seed}, {plan.kind}, {plan.seconds / 60:g} min, {plan.rate:g} requests/s")
        report = await soak.run()
    _say(str(report))
    _say_failures(report.failures)
    _say("FLAT, nothing lost" if not report.failures else "FAILED")
    return 1 if report.failures else 0


def _say_failures(failures: Sequence[str]) -> None:
    for line in failures[:_SHOWN]:
        _say(f"  FAILED {line}")
    if len(failures) > _SHOWN:
        _say(f"  and {len(failures) - _SHOWN} more")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", default=f"{random.SystemRandom().randrange(1 << 32):x}")
    parser.add_argument("--minutes", type=_minutes, default=20.0)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, hostile ones apart")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--fault-every", type=float, default=60.0, help="seconds")
    parser.add_argument("--warm-up", type=float, default=0.4, help="the part of a life that is not judged")
    parser.add_argument("--backlog", type=int, default=200_000, help="records that come at once at half time")
    return parser.parse_args()


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes <= _LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"between 0 and {_LONGEST_MINUTES}")
    return minutes


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

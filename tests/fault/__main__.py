"""Break Weir and hold the rows against what the clients were told.

    make test-faults ARGS="--seed 7 --kills 500 --requests 500000 --rounds 20 --store both --stops 1-100"

Rounds: real processes are killed at random points while clients ask. Kills and requests are spread over the
rounds, each with an installation and a seed of its own. Stops: the metrics API is killed at the Nth thing
that it says to Redis and to its database, the proxy's parent at the Nth that it says to Redis, each N once
before it is heard and once after it is answered. `--rounds 0` or `--stops 0` leaves one of the two out.

What fails says how to repeat it; logs, journal and database of a failed round are kept in --keep. It ends
with 1 if anything was lost, doubled, wrong, or seen by a client that must not be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fault.proxy_stops import run_proxy_stops
from tests.fault.rounds import CLIENTS, Plan, Report, run_round
from tests.fault.stops import StopsReport, run_stops, stops
from tests.support.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fault.installation import Kind
    from tests.support.gate import When

_MOMENTS: Final[tuple[When, ...]] = ("before", "after")


def main() -> int:
    options = _options()
    _say(f"seed {options.seed}")
    kinds: Sequence[Kind] = ("sqlite", "postgres") if options.store == "both" else (options.store,)
    with ExitStack() as opened:
        postgres = None
        if "postgres" in kinds:
            postgres = PostgresServer()
            opened.callback(postgres.close)
            postgres.start()
        rounds = [_round(plan, postgres, options.keep) for plan in _plans(options, kinds)]
        systematic = _stops(options, kinds, postgres)
    return _sum_up(options.seed, rounds, systematic)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fault", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", default=f"{random.SystemRandom().randrange(1 << 32):x}")
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--requests", type=int, default=500_000)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--stops", type=_numbers, default=range(1, 101), help="N, such as 1-100 or 17")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "weir-fault-failures")
    return parser.parse_args()


def _numbers(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1) if int(first) else range(0)


def _plans(options: argparse.Namespace, kinds: Sequence[Kind]) -> list[Plan]:
    rounds: int = options.rounds
    return [
        Plan(
            seed=options.seed if rounds == 1 else f"{options.seed}.{number}",
            kind=kinds[number % len(kinds)],
            kills=_share(options.kills, rounds, number),
            requests=_share(options.requests, rounds, number),
            clients=options.clients,
        )
        for number in range(rounds)
    ]


def _share(whole: int, parts: int, number: int) -> int:
    return whole * (number + 1) // parts - whole * number // parts


def _round(plan: Plan, postgres: PostgresServer | None, keep: Path) -> Report:
    report = asyncio.run(run_round(plan, postgres if plan.kind == "postgres" else None, keep))
    _say(report.explained if report.failures else str(report))
    return report


def _stops(
    options: argparse.Namespace, kinds: Sequence[Kind], postgres: PostgresServer | None
) -> list[StopsReport]:
    numbers: range = options.stops
    reports: list[StopsReport] = []
    if not numbers:
        return reports
    folder = options.keep / f"{options.seed}-stops"
    shutil.rmtree(folder, ignore_errors=True)
    for kind in kinds:
        database = postgres if kind == "postgres" else None
        work = run_stops(folder / kind, kind, database, stops(numbers))
        reports.append(asyncio.run(work))
    moments = itertools.product(numbers, _MOMENTS)
    reports.append(asyncio.run(run_proxy_stops(folder / "proxy", options.seed, moments)))
    for report in reports:
        _say(str(report))
        if report.failures:
            _say(f"repeat with: python -m tests.fault --rounds 0 --stops {numbers[0]}-{numbers[-1]}")
            _say(report.explained)
    if not any(report.failures for report in reports):
        shutil.rmtree(folder)
    return reports


def _sum_up(seed: str, rounds: Sequence[Report], systematic: Sequence[StopsReport]) -> int:
    failed = [report for report in (*rounds, *systematic) if report.failures]
    _say(
        f"seed {seed}: {sum(report.kills for report in rounds)} random kills, "
        f"{sum(report.balance.requests for report in rounds)} requests, "
        f"{sum(report.balance.rows for report in rounds)} rows in "
        f"{sum(report.seconds for report in rounds) / 60:.0f} min; "
        f"{sum(report.stopped for report in systematic)} stops, "
        f"{sum(report.records for report in systematic)} records in "
        f"{sum(report.seconds for report in systematic) / 60:.0f} min; "
        f"lost {sum(len(report.balance.lost) for report in (*rounds, *systematic))}, "
        f"doubled {sum(len(report.balance.doubled) for report in (*rounds, *systematic))}, "
        f"failed {len(failed)} of {len(rounds) + len(systematic)}"
    )
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

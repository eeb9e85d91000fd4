"""The short version of `make test-faults`: another seed each time, which is printed.

Whatever fails, the message says how to repeat it; `python -m tests.fault --help` tells of the long version.
"""

from __future__ import annotations

import asyncio
import random
import sys
from typing import TYPE_CHECKING, Final

import pytest
from tests.fault.proxy_stops import run_proxy_stops
from tests.fault.rounds import Plan, run_round
from tests.fault.stops import run_stops, stops
from tests.support.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fault.installation import Kind
    from tests.support.gate import When

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds the workers through /proc"),
    pytest.mark.timeout(300),
]

KILLS: Final = 3
REQUESTS: Final = 500
STOPS: Final = 3
PROXY_STOPS: Final = 1
LAST: Final = 100
"""Stops are at the first so many things that are said."""
_MOMENTS: Final[tuple[When, ...]] = ("before", "after")


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> str:
    seed = f"{random.SystemRandom().randrange(1 << 32):x}"
    with capsys.disabled():
        sys.stdout.write(f" [seed {seed}] ")
    return seed


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """One that may be crashed."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_whatever_dies_each_accepted_request_is_one_row(
    kind: Kind, seed: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plan = Plan(seed, kind, KILLS, REQUESTS)
    postgres = request.getfixturevalue("postgres") if kind == "postgres" else None
    report = asyncio.run(run_round(plan, postgres, tmp_path))
    assert report.failures == [], report.explained
    assert report.kills == KILLS
    assert report.balance.rows > REQUESTS // 2


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_metrics_api_can_be_killed_at_anything_it_says(
    kind: Kind, seed: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres = request.getfixturevalue("postgres_server") if kind == "postgres" else None
    chosen = random.Random(seed).sample(stops(range(1, LAST + 1)), STOPS)  # noqa: S311 - to be repeated
    report = asyncio.run(run_stops(tmp_path, kind, postgres, chosen))
    assert report.failures == [], report.explained
    assert report.balance.rows == report.records >= STOPS


def test_the_proxy_can_be_killed_at_anything_it_says_to_redis(seed: str, tmp_path: Path) -> None:
    source = random.Random(seed)  # noqa: S311 - to be repeated
    chosen: list[tuple[int, When]] = [
        (source.randint(1, LAST), source.choice(_MOMENTS)) for _ in range(PROXY_STOPS)
    ]
    report = asyncio.run(run_proxy_stops(tmp_path, seed, chosen))
    assert report.failures == [], report.explained
    assert report.balance.rows >= PROXY_STOPS

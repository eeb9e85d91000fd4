"""A leak is seen, and what only moves to and fro is not taken for one."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from tests.soak.measuring import MB, Sample, courses, longest_life, look

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTES = 20
WARM_UP = 0.4
"""Of a life."""


def life(
    held: Callable[[float], tuple[float, float, float]], pid: int = 1, begins: float = 0.0
) -> list[Sample]:
    """A sample every five seconds: MB, descriptors and tasks by the minute."""
    found: list[Sample] = []
    for step in range(MINUTES * 12):
        rss, descriptors, tasks = held(step / 12)
        found.append(Sample(begins + step * 5, "x", pid, rss * MB, descriptors, 3, tasks))
    return found


def grown(samples: list[Sample]) -> set[str]:
    return {course.what for course in courses(samples, WARM_UP) if not course.is_flat}


def test_a_life_that_only_moves_to_and_fro_is_flat() -> None:
    source = random.Random(1)  # noqa: S311 - noise
    noisy = life(lambda _: (60 + source.uniform(-2, 2), 30 + source.randint(-9, 9), 20))
    assert grown(noisy) == set()


def test_the_warm_up_does_not_count() -> None:
    assert grown(life(lambda minute: (60 + 40 * min(minute, 8), 30, 20))) == set()


def test_each_kind_of_leak_is_seen() -> None:
    assert grown(life(lambda minute: (60 + minute / 2, 30, 20))) == {"rss"}
    assert grown(life(lambda minute: (60, 30 + minute, 20))) == {"descriptors"}
    assert grown(life(lambda minute: (60, 30, 20 + minute))) == {"tasks"}


def test_the_slope_is_an_hour_s() -> None:
    (rss, *_) = courses(life(lambda minute: (60 + minute, 30, 20)), WARM_UP)
    assert rss.slope == pytest.approx(60 * MB)
    assert rss.seconds == pytest.approx(MINUTES * 0.6 * 60, abs=5)


def test_the_longest_life_is_judged_and_too_short_a_one_is_not() -> None:
    long, short = life(lambda _: (60, 30, 20), pid=1), life(lambda _: (99, 30, 20), pid=2)[:30]
    assert longest_life([*short, *long]) == long
    assert courses(short, WARM_UP) == []


def test_a_process_is_looked_at() -> None:
    here = look(1.0, "this", os.getpid())
    assert here is not None
    assert here.rss > 5 * MB
    assert here.threads >= 1
    assert here.descriptors >= 3
    assert look(1.0, "nobody", 2**22 + 1) is None

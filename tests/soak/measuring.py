"""What the processes hold while time passes, and whether it grows."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HOUR: Final = 3600.0
MB: Final = 1024.0
"""In kB, which the kernel counts in."""
GROWTH: Final = 0.05
"""Of what a process held after its warm-up: more is no longer flat."""
ROOM: Final[dict[str, float]] = {"rss": 1.5 * MB, "descriptors": 4.0, "threads": 2.0, "tasks": 4.0}
"""Growth that says nothing: an allocator's next arena, a connection more at the moment of looking."""
FEWEST: Final = 24
"""Samples of a life that anything can be said of."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process held at one moment; `at` in seconds since the run began, `rss` in kB."""

    at: float
    name: str
    pid: int
    rss: float
    descriptors: float
    threads: float
    tasks: float | None = None
    """Of its event loop, where it tells them."""


@dataclass(frozen=True, slots=True)
class Course:
    """How one number of one life went after its warm-up."""

    name: str
    what: str
    seconds: float
    early: float
    """Median of the first third."""
    late: float
    """Median of the last third."""
    slope: float
    """Of the line through all samples, an hour."""

    @property
    def is_flat(self) -> bool:
        """Whether the end is where the beginning was; less is flat, too."""
        return self.late - self.early <= max(ROOM[self.what], GROWTH * self.early)


def look(at: float, name: str, pid: int, tasks: float | None = None) -> Sample | None:
    """What a process holds now; None if it is gone. Linux only."""
    here = Path(f"/proc/{pid}")
    try:
        status = dict(
            line.split(":", 1) for line in here.joinpath("status").read_text().splitlines() if ":" in line
        )
        descriptors = sum(1 for _ in here.joinpath("fd").iterdir())
    except OSError:
        return None
    if "VmRSS" not in status:
        return None  # it has ended and is not waited for yet
    return Sample(
        at, name, pid, float(status["VmRSS"].split()[0]), descriptors, float(status["Threads"]), tasks
    )


def longest_life(samples: Iterable[Sample]) -> list[Sample]:
    """The samples of the one process, among those of one name, that was seen for the longest."""
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    return max(lives.values(), key=lambda life: life[-1].at - life[0].at) if lives else []


def courses(samples: Sequence[Sample], warm_up: float) -> list[Course]:
    """Each number of the longest life without the first part of it; none of one that was too short."""
    life = longest_life(samples)
    settled = life[round(len(life) * warm_up) :]
    if len(settled) < FEWEST:
        return []
    found: list[Course] = []
    for what in ("rss", "descriptors", "threads", "tasks"):
        points = [(s.at, value) for s in settled if (value := getattr(s, what)) is not None]
        if len(points) >= FEWEST:
            found.append(_course(settled[0].name, what, points))
    return found


def _course(name: str, what: str, points: Sequence[tuple[float, float]]) -> Course:
    times, values = zip(*points, strict=True)
    third = len(values) // 3
    return Course(
        name,
        what,
        seconds=times[-1] - times[0],
        early=statistics.median(values[:third]),
        late=statistics.median(values[-third:]),
        slope=statistics.linear_regression(times, values).slope * HOUR,
    )

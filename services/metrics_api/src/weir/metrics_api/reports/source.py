"""Where a report's sums come from: roll-ups, or rows where the question names what roll-ups lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from weir.metrics_api.reports.time_range import ceil, covered, floor, segments
from weir.metrics_api.storage.port import (
    MEASURES,
    SECONDS,
    RollupAnswer,
    RollupQuestion,
    RowQuestion,
    Segment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.metrics_api.storage.port import Filter, Kept, Level, Store, Window

MOST_ROWS: Final = 50_000
"""Rows that one answer is computed from at most; the newest ones, and the answer says it is not complete."""
Slots = tuple[float, float]
"""Origin and width in seconds."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Answers, and what to say of them."""

    answers: list[RollupAnswer]
    source: str
    complete: bool
    start: int
    """Unix ms from which on the answers count: the window's start, or the start of the bucket around it."""


class Source(Protocol):
    """Sums by group and slot over a window."""

    async def sums(
        self,
        window: Window,
        group_by: Sequence[str],
        *,
        slots: Slots | None = None,
        measures: Sequence[str] = MEASURES,
        distributions: Sequence[str] = (),
        level: Level | None = None,
        coarsest: Level = "1d",
        completed_times: bool = False,
    ) -> Sums:
        """`measures` and `completed_times` as in RollupQuestion."""
        ...


def source_for(
    store: Store, wanted: Filter, by: str | None, now_ms: int, retention: Mapping[Kept, float]
) -> Source:
    """Rows when the question is about users, roll-ups otherwise."""
    if wanted.user or by == "user":
        return RowSource(store, wanted, now_ms - retention["requests"] * 1000)
    return RollupSource(store, wanted, now_ms, retention)


@dataclass(frozen=True, slots=True)
class RollupSource:
    store: Store
    wanted: Filter
    now_ms: int
    retention: Mapping[Kept, float]

    async def sums(
        self,
        window: Window,
        group_by: Sequence[str],
        *,
        slots: Slots | None = None,
        measures: Sequence[str] = MEASURES,
        distributions: Sequence[str] = (),
        level: Level | None = None,
        coarsest: Level = "1d",
        completed_times: bool = False,
    ) -> Sums:
        """From buckets of `level` alone, if given; else from the fewest that cover the window exactly."""
        parts = self._segments(window, level, coarsest)
        answers = await self.store.rollups(
            RollupQuestion(
                parts,
                self.wanted,
                tuple(group_by),
                slots,
                tuple(measures),
                tuple(distributions),
                completed_times=completed_times,
            )
        )
        coarsest = max(parts, key=lambda part: SECONDS[part.level]).level
        if level is None:
            start, _ = covered(window, self.now_ms, self.retention)
        else:
            start = parts[0].start
        return Sums(answers, f"rollup_{coarsest}", complete=True, start=start * 1000)

    def _segments(self, window: Window, level: Level | None, coarsest: Level) -> tuple[Segment, ...]:
        if level is None:
            return segments(window, self.now_ms, self.retention, coarsest)
        width = SECONDS[level]
        return (Segment(level, floor(window.start / 1000, width), ceil(window.end / 1000, width)),)


@dataclass(frozen=True, slots=True)
class RowSource:
    store: Store
    wanted: Filter
    kept_from: float
    """Unix ms; what began before may have been deleted."""

    async def sums(
        self,
        window: Window,
        group_by: Sequence[str],
        *,
        slots: Slots | None = None,
        measures: Sequence[str] = MEASURES,
        distributions: Sequence[str] = (),
        level: Level | None = None,  # noqa: ARG002 - rows have no buckets
        coarsest: Level = "1d",  # noqa: ARG002 - rows have no buckets
        completed_times: bool = False,
    ) -> Sums:
        question = RowQuestion(
            window,
            MOST_ROWS,
            self.wanted,
            tuple(group_by),
            slots,
            ("requests", *measures),
            tuple(distributions),
            completed_times=completed_times,
        )
        answers = await self.store.row_sums(question)
        rows = sum(answer.cell.sums.requests for answer in answers)
        complete = rows < MOST_ROWS and window.start >= self.kept_from
        return Sums(answers, "rows", complete=complete, start=window.start)

"""The summary: totals of a stretch of time, of the one before, and of each group with its course."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.aggregate import Aggregate, Breakdown
from weir.metrics_api.metrics.measure import Distributions
from weir.metrics_api.reports.source import source_for
from weir.metrics_api.reports.time_range import level_for
from weir.metrics_api.reports.totals import totals
from weir.metrics_api.storage.port import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.metrics_api.reports.source import Source, Sums
    from weir.metrics_api.storage.port import Filter, Kept, Store

GROUPINGS: Final = (
    "model", "variant", "outcome", "upstream", "provider", "project", "api_key_id", "endpoint", "user",
)  # fmt: skip
MOST_GROUPS: Final = 100
SLICES: Final = 30
_TIMES: Final = Distributions._fields
Group = str | int | None
Strip = list[Aggregate | None]


@dataclass(frozen=True, slots=True)
class SummaryQuestion:
    window: Window
    wanted: Filter
    by: str | None
    now_ms: int


async def summary(store: Store, question: SummaryQuestion, retention: Mapping[Kept, float]) -> dict[str, Any]:
    """The answer as documented for `/api/summary`."""
    window, by = question.window, question.by
    source = source_for(store, question.wanted, by, question.now_ms, retention)
    length = window.end - window.start
    before = Window(max(0, window.start - length), window.start)
    completed_times = by != "outcome" and not question.wanted.outcome
    now, then, strips, last = await asyncio.gather(
        source.sums(window, _group_by(by), distributions=_TIMES, completed_times=completed_times),
        source.sums(before, _group_by(None), distributions=_TIMES, completed_times=completed_times),
        _strips(source, question),
        store.last_request_at(question.wanted),
    )
    groups = _by_group(now)
    total = _total(groups)
    return {
        "from": now.start,
        "to": window.end,
        "source": now.source,
        "complete": now.complete and then.complete,
        "total": totals(total, window.seconds),
        "previous": totals(_total(_by_group(then)), window.seconds),
        "groups": _groups(groups, strips, question, total.aggregate.sums.requests) if by else [],
        "last_request_at": last,
    }


def _group_by(by: str | None) -> tuple[str, ...]:
    """The axes every sum is split by, the group's first."""
    return ("outcome", "status_code", "provider", *((by,) if by else ()))


def _by_group(sums: Sums) -> dict[Group, Breakdown]:
    found: dict[Group, Breakdown] = {}
    for _, (outcome, status_code, provider, *rest), cell, fates in sums.answers:
        if not cell.sums.requests:
            continue  # they were in a wider bucket that was read, but not in the window
        found.setdefault(rest[0] if rest else None, Breakdown()).add(
            cell,
            fates,
            str(outcome),
            None if status_code is None else int(status_code),
            None if provider is None else str(provider),
        )
    return found


def _total(groups: dict[Group, Breakdown]) -> Breakdown:
    total = Breakdown()
    for group in groups.values():
        total.absorb(group)
    return total


async def _strips(source: Source, question: SummaryQuestion) -> dict[Group, Strip]:
    """The course of each group in SLICES equal slices."""
    if question.by is None:
        return {}
    origin, width = question.window.start / 1000, question.window.seconds / SLICES
    sums = await source.sums(
        question.window,
        (question.by,),
        slots=(origin, width),
        measures=("requests", "errors"),
        coarsest=level_for(width),
    )
    found: dict[Group, Strip] = {}
    for slot, (group,), cell, fates in sums.answers:
        strip = found.setdefault(group, [None] * SLICES)
        place = min(max(slot, 0), SLICES - 1)
        aggregate = strip[place] = strip[place] or Aggregate()
        aggregate.add(cell, fates)
    return found


def _groups(
    groups: dict[Group, Breakdown],
    strips: dict[Group, Strip],
    question: SummaryQuestion,
    requests: int,
) -> list[dict[str, Any]]:
    ordered = sorted(groups, key=lambda group: (-groups[group].aggregate.sums.requests, str(group)))
    shown, rest = ordered[:MOST_GROUPS], ordered[MOST_GROUPS:]
    name = str(question.by)
    found = [
        _group({name: group}, groups[group], strips.get(group, [None] * SLICES), question, requests)
        for group in shown
    ]
    if rest:
        breakdown, strip = Breakdown(), Strip([None] * SLICES)
        for group in rest:
            breakdown.absorb(groups[group])
            strip = [_sum(one, other) for one, other in zip(strip, strips.get(group, strip), strict=True)]
        found.append(_group({name: None, "other": True}, breakdown, strip, question, requests))
    return found


def _group(
    key: dict[str, Any],
    breakdown: Breakdown,
    strip: Strip,
    question: SummaryQuestion,
    requests: int,
) -> dict[str, Any]:
    providers = breakdown.providers
    return {
        "key": key,
        "provider": next(iter(providers)) if len(providers) == 1 else None,
        **totals(breakdown, question.window.seconds),
        "share_pct": 100 * breakdown.aggregate.sums.requests / requests if requests else 0,
        "strip": [
            {"requests": part.sums.requests, "errors": part.fates.errors}
            if part and part.sums.requests
            else None
            for part in strip
        ],
    }


def _sum(one: Aggregate | None, other: Aggregate | None) -> Aggregate | None:
    if one is None or other is None:
        return other if one is None else one
    one.absorb(other)
    return one

"""The summary: totals of a stretch of time, of the one before, and of each group with its course."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from weir.metrics_api.metrics.aggregate import COMPLETED_ONLY, Aggregate
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
    now, then, strips, last = await asyncio.gather(
        source.sums(
            window, _group_by(by), distributions=_TIMES, completed_times=_timed(question) is not None
        ),
        source.sums(
            before, _group_by(None), distributions=_TIMES, completed_times=_timed(question) is not None
        ),
        _strips(source, question),
        store.last_request_at(question.wanted),
    )
    groups = _by_group(now, question)
    total = Aggregate()
    for aggregate in groups.values():
        total.absorb(aggregate)
    return {
        "from": now.start,
        "to": window.end,
        "source": now.source,
        "complete": now.complete and then.complete,
        "total": totals(total, window.seconds),
        "previous": totals(_total(then, question), window.seconds),
        "groups": _groups(groups, strips, question, total.sums.requests) if by else [],
        "last_request_at": last,
    }


def _group_by(by: str | None) -> tuple[str, ...]:
    """The axes every sum is split by, the group's first."""
    return ("outcome", "status_code", "provider", *((by,) if by else ()))


def _timed(question: SummaryQuestion) -> frozenset[str] | None:
    """The outcomes whose times count; None for all."""
    return None if question.wanted.outcome or question.by == "outcome" else COMPLETED_ONLY


def _by_group(sums: Sums, question: SummaryQuestion) -> dict[Group, Aggregate]:
    timed = _timed(question)
    found: dict[Group, Aggregate] = {}
    for answer in sums.answers:
        outcome, status_code, provider, *rest = answer.group
        aggregate = found.setdefault(rest[0] if rest else None, Aggregate())
        aggregate.add(str(outcome), answer.cell, timed, None if status_code is None else int(status_code))
        aggregate.providers.add(None if provider is None else str(provider))
    return found


def _total(sums: Sums, question: SummaryQuestion) -> Aggregate:
    total = Aggregate()
    for aggregate in _by_group(sums, question).values():
        total.absorb(aggregate)
    return total


async def _strips(source: Source, question: SummaryQuestion) -> dict[Group, list[Aggregate | None]]:
    """The course of each group in SLICES equal slices."""
    if question.by is None:
        return {}
    origin, width = question.window.start / 1000, question.window.seconds / SLICES
    sums = await source.sums(
        question.window, ("outcome", question.by), slots=(origin, width), coarsest=level_for(width)
    )
    found: dict[Group, list[Aggregate | None]] = {}
    for answer in sums.answers:
        outcome, group = answer.group
        strip = found.setdefault(group, [None] * SLICES)
        place = min(max(answer.slot, 0), SLICES - 1)
        aggregate = strip[place] or Aggregate()
        aggregate.add(str(outcome), answer.cell, COMPLETED_ONLY)
        strip[place] = aggregate
    return found


def _groups(
    groups: dict[Group, Aggregate],
    strips: dict[Group, list[Aggregate | None]],
    question: SummaryQuestion,
    requests: int,
) -> list[dict[str, Any]]:
    ordered = sorted(groups, key=lambda group: (-groups[group].sums.requests, str(group)))
    shown, rest = ordered[:MOST_GROUPS], ordered[MOST_GROUPS:]
    name = str(question.by)
    found = [
        _group({name: group}, groups[group], strips.get(group, [None] * SLICES), question, requests)
        for group in shown
    ]
    if rest:
        aggregate, strip = Aggregate(), list[Aggregate | None]([None] * SLICES)
        for group in rest:
            aggregate.absorb(groups[group])
            strip = [_sum(one, other) for one, other in zip(strip, strips.get(group, strip), strict=True)]
        found.append(_group({name: None, "other": True}, aggregate, strip, question, requests))
    return found


def _group(
    key: dict[str, Any],
    aggregate: Aggregate,
    strip: list[Aggregate | None],
    question: SummaryQuestion,
    requests: int,
) -> dict[str, Any]:
    providers = aggregate.providers
    return {
        "key": key,
        "provider": next(iter(providers)) if len(providers) == 1 else None,
        **totals(aggregate, question.window.seconds),
        "share_pct": 100 * aggregate.sums.requests / requests if requests else 0,
        "strip": [
            None if part is None else {"requests": part.sums.requests, "errors": part.errors}
            for part in strip
        ],
    }


def _sum(one: Aggregate | None, other: Aggregate | None) -> Aggregate | None:
    if one is None or other is None:
        return other if one is None else one
    one.absorb(other)
    return one

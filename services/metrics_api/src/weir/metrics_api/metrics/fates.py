"""How requests ended, as numbers that can be added up beside their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weir.events import ERROR_OUTCOMES, Outcome

if TYPE_CHECKING:
    from weir.metrics_api.metrics.measure import Sums


class Fates(NamedTuple):
    """What became of requests."""

    errors: int = 0
    """Those with one of ERROR_OUTCOMES."""
    completed: int = 0
    completed_reported: int = 0
    """Of the completed ones, those with reported usage."""

    def plus(self, other: Fates) -> Fates:
        return Fates(*map(int.__add__, self, other))


NO_FATES: Final = Fates()


def fates_of(outcome: str, sums: Sums) -> Fates:
    """The fates of requests that all ended in this way."""
    if outcome == Outcome.COMPLETED:
        return Fates(0, sums.requests, sums.usage_reported)
    return Fates(sums.requests) if outcome in ERROR_OUTCOMES else NO_FATES

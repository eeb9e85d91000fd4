"""The sum of roll-up answers of one group: what metrics are computed from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from weir.events import ERROR_OUTCOMES, Outcome
from weir.metrics_api.metrics.dimension import status_class
from weir.metrics_api.metrics.measure import NO_DISTRIBUTIONS, NO_SUMS, Distributions

if TYPE_CHECKING:
    from weir.metrics_api.metrics.measure import Cell, Sums

COMPLETED_ONLY: Final = frozenset({Outcome.COMPLETED.value})


@dataclass(slots=True)
class Aggregate:
    """Sums of all requests; `completed` and `distributions` of those whose times count.

    Times are of completed requests, so that refusals do not flatter them; where a question names
    outcomes, of those it names.
    """

    sums: Sums = NO_SUMS
    completed: Sums = NO_SUMS
    errors: int = 0
    distributions: Distributions = field(default_factory=Distributions)
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    status_classes: dict[str, int] = field(default_factory=dict[str, int])
    providers: set[str | None] = field(default_factory=set[str | None])

    def add(
        self, outcome: str, cell: Cell, timed: frozenset[str] | None, status_code: int | None = None
    ) -> None:
        """Count a cell of one outcome in; its times too, if `timed` allows that outcome (None allows all)."""
        sums = cell.sums
        self.sums = self.sums.plus(sums)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + sums.requests
        if outcome in ERROR_OUTCOMES:
            self.errors += sums.requests
        if outcome == Outcome.COMPLETED:
            self.completed = self.completed.plus(sums)
        if (timed is None or outcome in timed) and cell.distributions is not NO_DISTRIBUTIONS:
            self.distributions = self.distributions.plus(cell.distributions)
        if (family := status_class(status_code)) is not None:
            self.status_classes[family] = self.status_classes.get(family, 0) + sums.requests

    def absorb(self, other: Aggregate) -> None:
        """Count another group in."""
        self.sums = self.sums.plus(other.sums)
        self.completed = self.completed.plus(other.completed)
        self.errors += other.errors
        self.distributions = self.distributions.plus(other.distributions)
        self.providers |= other.providers
        for mine, others in ((self.outcomes, other.outcomes), (self.status_classes, other.status_classes)):
            for name, count in others.items():
                mine[name] = mine.get(name, 0) + count

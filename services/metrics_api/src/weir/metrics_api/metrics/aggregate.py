"""The sum of answers of one group: what metrics are computed from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weir.metrics_api.metrics.dimension import status_class
from weir.metrics_api.metrics.fates import NO_FATES
from weir.metrics_api.metrics.measure import NO_DISTRIBUTIONS, NO_SUMS

if TYPE_CHECKING:
    from weir.metrics_api.metrics.fates import Fates
    from weir.metrics_api.metrics.measure import Cell, Distributions, Sums


@dataclass(slots=True)
class Aggregate:
    """Sums and fates of all requests, distributions of those whose times count.

    Times are of completed requests, so that refusals do not flatter them; where a question names
    outcomes, of those it names.
    """

    sums: Sums = NO_SUMS
    fates: Fates = NO_FATES
    distributions: Distributions = NO_DISTRIBUTIONS

    def add(self, cell: Cell, fates: Fates) -> None:
        self.sums = self.sums.plus(cell.sums)
        self.fates = self.fates.plus(fates)
        if cell.distributions is not NO_DISTRIBUTIONS:
            self.distributions = self.distributions.plus(cell.distributions)

    def absorb(self, other: Aggregate) -> None:
        """Count another group in."""
        self.sums = self.sums.plus(other.sums)
        self.fates = self.fates.plus(other.fates)
        if other.distributions is not NO_DISTRIBUTIONS:
            self.distributions = self.distributions.plus(other.distributions)


NOTHING = Aggregate()
"""Of no requests at all; not to be added to."""


@dataclass(slots=True)
class Breakdown:
    """An aggregate, and what its requests are made up of."""

    aggregate: Aggregate = field(default_factory=Aggregate)
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    status_classes: dict[str, int] = field(default_factory=dict[str, int])
    providers: set[str | None] = field(default_factory=set[str | None])

    def add(
        self, cell: Cell, fates: Fates, outcome: str, status_code: int | None, provider: str | None
    ) -> None:
        """Count requests in that share an outcome, a status and a provider."""
        self.aggregate.add(cell, fates)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + cell.sums.requests
        self.providers.add(provider)
        if (family := status_class(status_code)) is not None:
            self.status_classes[family] = self.status_classes.get(family, 0) + cell.sums.requests

    def absorb(self, other: Breakdown) -> None:
        """Count another group in."""
        self.aggregate.absorb(other.aggregate)
        self.providers |= other.providers
        for mine, others in ((self.outcomes, other.outcomes), (self.status_classes, other.status_classes)):
            for name, count in others.items():
                mine[name] = mine.get(name, 0) + count

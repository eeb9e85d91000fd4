"""A metric: a named formula over an aggregate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from weir.metrics_api.metrics.measure import UNITS_PER

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.metrics_api.metrics.aggregate import Aggregate

Unit = Literal["requests", "requests/s", "%", "tokens", "tokens/s", "ms"]
Value = int | float | None


@dataclass(frozen=True, slots=True)
class Metric:
    """`compute` takes the aggregate and the seconds it covers. None: nothing to tell."""

    slug: str
    title: str
    unit: Unit
    description: str
    compute: Callable[[Aggregate, float], Value]
    measures: tuple[str, ...] = ()
    """The sums and fates it needs."""
    distribution: str | None = None
    """The histogram it needs."""


def percent(part: int, whole: int) -> float | None:
    """A share in percent; None of nothing."""
    return None if whole == 0 else 100 * part / whole


def known(aggregate: Aggregate, measure: str) -> int | None:
    """A sum; None when there were requests and none of them had the number."""
    sums = aggregate.sums
    if not sums.requests:
        return 0
    return getattr(sums, measure) if getattr(sums, f"{measure}_n") else None


def quantile(aggregate: Aggregate, distribution: str, q: float) -> float | None:
    """A percentile in the unit shown (ms, tokens/s)."""
    value = getattr(aggregate.distributions, distribution).quantile(q)
    return None if value is None else round(value / UNITS_PER[distribution], 3)


def count(aggregate: Aggregate, distribution: str) -> int:
    """How many values the distribution has."""
    return getattr(aggregate.distributions, distribution).n

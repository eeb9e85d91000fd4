"""Answers that the graph shapes in another way than REST: maps become lists that can be selected from."""

from __future__ import annotations

from pydantic import Field

from weir.metrics_api.answers.answer import Answer
from weir.metrics_api.answers.dashboard import VariantStatus
from weir.metrics_api.answers.numbers import Slice, Totals


class Line(Answer):
    """One metric of one group over time."""

    metric: str = Field(description="Its slug in the catalogue.")
    group: str = Field(
        description="`all` without `by`, `other` for the groups beyond the twelfth, empty without a value."
    )
    values: list[float | None] = Field(
        description="One number a bucket. Counts of nothing are 0, percentiles null."
    )


class Series(Answer):
    """Metrics over time, in buckets of equal width."""

    t0: int = Field(description="Start of the first bucket, Unix ms.")
    step: int = Field(description="Width of a bucket, ms.")
    source: str = Field(description="The roll-ups read; `rows` where they lack a dimension.")
    complete: bool = Field(description="False when there were more rows than one answer may read.")
    complete_until: int = Field(description="Buckets that end later are still filling, Unix ms.")
    lines: list[Line]


class Upstream(Totals):
    """An upstream that requests went to, and what they add up to."""

    name: str | None = Field(description="Null: requests that reached none.")
    provider: str | None = Field(description="Its dialect.")
    share_pct: float = Field(description="Share of all requests.")
    strip: list[Slice | None] = Field(description="30 slices of the range; null without traffic.")


class Variant(VariantStatus):
    """A variant of the upstreams, over the last minute."""

    variant: str = Field(description="`production` or `canary`.")

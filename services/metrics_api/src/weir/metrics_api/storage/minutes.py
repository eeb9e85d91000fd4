"""Snapshots of minutes whose rates are stored as they are answered."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weir.metrics_api.storage.port import MinuteRow

_RATES: Final = -1


def known_rates(rows: list[MinuteRow]) -> tuple[list[MinuteRow], int | None]:
    """The rows (newest first) up to the first bucket whose rates are not known, and that bucket.

    They are not where they were stored by an earlier version, and where several processes counted apart.
    """
    unknown = [row[0] for row in rows if row[_RATES] is None]
    unknown += [one[0] for one, other in pairwise(rows) if one[0] == other[0] and one[1] == other[1]]
    if not unknown:
        return rows, None
    first = min(unknown)
    return [row for row in rows if row[0] < first], first

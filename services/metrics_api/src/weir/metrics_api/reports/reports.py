"""All reports behind one face, for a door that asks several of them in one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.reports import requests as single
from weir.metrics_api.reports import snapshot
from weir.metrics_api.reports.filter import InvalidFilterError, make_filter
from weir.metrics_api.reports.series import MOST_METRICS, SeriesQuestion, series
from weir.metrics_api.reports.summary import SummaryQuestion, summary
from weir.metrics_api.reports.time_range import InvalidRangeError, parse_window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.metrics_api.storage.port import Kept, Store, Window
    from weir.servicekit.clock import Clock


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time range as it was asked for: `range_`, or both moments (Unix ms)."""

    range_: str | None = None
    start: int | None = None
    end: int | None = None

    def window(self, now_ms: int) -> Window:
        """Raises InvalidRangeError when it makes no sense."""
        start, end = (None if moment is None else str(moment) for moment in (self.start, self.end))
        return parse_window(self.range_, start, end, now_ms)


class Reports:
    """Every question, over one store. Errors are those of the reports."""

    def __init__(self, store: Store, retention: Mapping[Kept, float], clock: Clock) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock

    async def requests(
        self, stretch: Stretch, wanted: Mapping[str, Sequence[str]], limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """A page of single requests."""
        if not 1 <= limit <= single.MOST:
            raise InvalidFilterError(f"limit={limit} is not a number from 1 to {single.MOST}")
        window = stretch.window(self._now)
        page = await single.page(self._store, window, make_filter(wanted), limit, cursor)
        return {"items": page.items, "next_cursor": page.next_cursor}

    async def request(self, request_id: str) -> dict[str, Any] | None:
        return await single.find(self._store, request_id)

    async def summary(
        self, stretch: Stretch, wanted: Mapping[str, Sequence[str]], by: str | None
    ) -> dict[str, Any]:
        now = self._now
        question = SummaryQuestion(stretch.window(now), make_filter(wanted), by, now)
        return await summary(self._store, question, self._retention)

    async def series(
        self,
        stretch: Stretch,
        wanted: Mapping[str, Sequence[str]],
        slugs: Sequence[str],
        by: str | None,
        step_ms: int | None,
    ) -> dict[str, Any]:
        metrics = tuple(CATALOG[slug] for slug in dict.fromkeys(slugs))
        if not 1 <= len(metrics) <= MOST_METRICS:
            raise InvalidFilterError(f"metrics names {len(metrics)} metrics; name 1 to {MOST_METRICS}")
        now = self._now
        question = SeriesQuestion(
            stretch.window(now), make_filter(wanted), metrics, by, step_ms=step_ms, now_ms=now
        )
        return await series(self._store, question, self._retention)

    async def status(self) -> dict[str, dict[str, Any]]:
        return await snapshot.status(self._store, self._now)

    async def snapshots(self, range_: str, variant: str) -> list[dict[str, Any]]:
        if range_ not in snapshot.RANGES:
            raise InvalidRangeError(
                f"range={range_[:40]!r} is unknown; write one of {', '.join(snapshot.RANGES)}"
            )
        found = await snapshot.snapshots(self._store, snapshot.RANGES[range_], variant, self._now)
        return msgspec.json.decode(found)

    @property
    def _now(self) -> int:
        return self._clock.now_us() // 1000

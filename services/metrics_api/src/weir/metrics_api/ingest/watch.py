"""Watches the reconciliation: for Prometheus, for /readyz, and for one line in the log when it is not 0."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily

from weir.servicekit.health import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from weir.metrics_api.reports.pipeline import Reconciliation
    from weir.servicekit.clock import Clock

logger = logging.getLogger(__name__)


class PipelineWatch:
    """Remembers the last reconciliation. What is not known is not exported."""

    def __init__(self, reconciliation: Reconciliation, clock: Clock, registry: CollectorRegistry) -> None:
        self._reconciliation = reconciliation
        self._clock = clock
        self._last: dict[str, Any] | None = None
        self._alarmed = False
        registry.register(self)  # pyright: ignore[reportArgumentType] - a collector by its shape

    async def look(self) -> None:
        """Reconcile, alarm, and store what the proxies say of themselves.

        Raises:
            CorridorError, StorageError: what they say could not be stored now.
        """
        self._last = last = await self._reconciliation.report(self._clock.now_us())
        self._alarm(last)
        await self._reconciliation.keep()

    async def check(self) -> Check:
        """The line in /readyz."""
        if self._last is None:
            return Check(ok=True, detail="not reconciled yet", essential=False)
        total = self._last["total"]
        missing = total["unaccounted"]
        if missing is None:
            return Check(ok=True, detail=self._last["unknown"]["unaccounted"], essential=False)
        accepted = total["accepted"]
        return Check(
            ok=missing == 0, detail=f"{missing} of {accepted} requests unaccounted for", essential=False
        )

    def collect(self) -> Iterator[Metric]:
        requests = GaugeMetricFamily(
            "weir_pipeline_requests",
            "Accepted requests by where they are, over all lives of all proxies.",
            labels=["place"],
        )
        last = self._last or {"total": {}, "lag_entries": None, "lag_seconds": None, "dead_letters": None}
        for place, number in last["total"].items():
            if number is not None:
                requests.add_metric([place], number)
        yield requests
        for name, text in (
            ("lag_entries", "Entries in Redis that are not stored."),
            ("lag_seconds", "Age of the oldest entry in Redis that is not stored."),
            ("dead_letters", "Dead letters that wait to be replayed or dropped."),
        ):
            if last[name] is not None:
                yield GaugeMetricFamily(f"weir_pipeline_{name}", text, value=last[name])

    def _alarm(self, report: dict[str, Any]) -> None:
        missing: int | None = report["total"]["unaccounted"]
        if missing and not self._alarmed:
            lives = [
                f"{life['proxy_id']}/{life['boot_id']}"
                for life in report["proxies"] or ()
                if life["unaccounted"]
            ]
            logger.error(
                "requests are unaccounted for: they were accepted and are nowhere",
                extra={"requests": missing, "proxies": lives},
            )
            self._alarmed = True
        elif missing == 0 and self._alarmed:
            logger.info("every accepted request is accounted for again")
            self._alarmed = False

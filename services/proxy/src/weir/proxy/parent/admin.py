"""The internal port: health, readiness and Prometheus metrics. Nothing of it is on the public port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from weir.events.journal import why
from weir.proxy.metering.counters import GAUGES, NAMES
from weir.proxy.parent import genai
from weir.proxy.parent.exposition import FAMILIES, expose
from weir.servicekit.errors import problems
from weir.servicekit.health import Check, healthz, readyz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from weir.proxy.parent.exposition import Totals
    from weir.proxy.parent.service import Parent

_HELP = {
    "accepted": "Requests accepted, each of which gets exactly one record.",
    "journaled": "Records written to the journal.",
    "dropped": "Records that could not be written to the journal, or were damaged in it.",
    "not_found": "Requests for a path or method that is not an endpoint.",
    "unauthorized": "Requests without a known key.",
    "malformed": "Messages that were not HTTP as it is taken here.",
    "journal_full": "Requests rejected because their records would have found no room.",
    "connections": "Client connections accepted.",
    "connections_refused": "Of them, those turned away because there were too many.",
}

_OF_THE_ACCOUNT = ("accepted", "journaled", "dropped", "acknowledged", "crashed")
"""An account is put right when a worker dies or Redis has lost records; a counter must never go down."""


def create_admin_app(parent: Parent) -> web.Application:
    """The admin listener's application."""
    counters = _Counters(parent)

    async def metrics(_request: web.Request) -> web.Response:
        page = _Page(list(counters.families()), parent.measured())
        # Many models make tens of thousands of lines; nobody else waits for them.
        body = await asyncio.to_thread(page.text)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def workers() -> Check:
        ready = sum(seat.is_ready for seat in parent.seats)
        return Check(ok=ready > 0 and not parent.is_stopping, detail=f"{ready} of {len(parent.seats)} ready")

    async def redis() -> Check:
        trouble = parent.shipper.trouble
        return Check(ok=trouble is None, detail=trouble or "takes records", essential=False)

    async def journal() -> Check:
        trouble = _journal_trouble(parent)
        detail = (
            f"{parent.shipper.waiting_bytes()} bytes wait for Redis,"
            f" {parent.account().dropped} records dropped since the start"
        )
        return Check(
            ok=trouble is None, detail=f"{trouble}; {detail}" if trouble else detail, essential=False
        )

    app = web.Application(middlewares=[problems])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz({"workers": workers, "redis": redis, "journal": journal}))
    app.router.add_get("/metrics", metrics)
    return app


def _journal_trouble(parent: Parent) -> str | None:
    """What is wrong with the journal now."""
    if refusing := parent.refusing():
        return f"it takes no records: {why(refusing[0])}"
    return f"it is not safe on the disk: {parent.sync_trouble}" if parent.sync_trouble else None


class _Page:
    """What Prometheus is told."""

    def __init__(self, families: list[Metric], totals: Totals) -> None:
        self._families = families
        self._totals = totals

    def text(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)  # pyright: ignore[reportArgumentType] - a collector by its shape
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._families
        yield from expose((*FAMILIES, *genai.FAMILIES), self._totals)


class _Counters:
    """Reads the shared counters and the accounts when Prometheus asks."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._highest: dict[str, int] = {}

    def families(self) -> Iterator[Metric]:
        account = self._parent.account()
        totals = self._parent.totals()
        for name in _OF_THE_ACCOUNT:
            totals[name] = self._highest[name] = max(getattr(account, name), self._highest.get(name, 0))
        for name in NAMES:
            if name not in GAUGES:
                yield CounterMetricFamily(f"weir_proxy_{name}", _HELP[name], value=totals[name])
        yield _gauge(
            "weir_proxy_connections_open", "Client connections open now.", totals["connections_open"]
        )
        in_flight = GaugeMetricFamily("weir_proxy_in_flight", "Requests in flight now.", labels=["variant"])
        for variant in ("production", "canary"):
            in_flight.add_metric([variant], totals[f"in_flight_{variant}"])
        yield in_flight
        shipper = self._parent.shipper
        yield CounterMetricFamily(
            "weir_proxy_acknowledged", "Records confirmed by Redis.", value=totals["acknowledged"]
        )
        yield CounterMetricFamily(
            "weir_proxy_crash_records",
            "Records written for requests of a dead worker.",
            value=totals["crashed"],
        )
        yield CounterMetricFamily(
            "weir_proxy_journal_damaged_places",
            "Damaged places in the journal that were skipped.",
            value=shipper.corrupt_places,
        )
        yield _gauge(
            "weir_proxy_journal_waiting_records", "Records not confirmed by Redis.", account.in_journal
        )
        yield _gauge(
            "weir_proxy_journal_refusing",
            "Workers whose journal takes no records now.",
            len(self._parent.refusing()),
        )
        yield _gauge(
            "weir_proxy_journal_waiting_bytes", "Bytes not confirmed by Redis.", shipper.waiting_bytes()
        )
        yield _gauge(
            "weir_proxy_workers", "Workers ready.", sum(seat.is_ready for seat in self._parent.seats)
        )


def _gauge(name: str, text: str, value: float) -> Any:
    return GaugeMetricFamily(name, text, value=value)

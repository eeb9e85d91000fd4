from __future__ import annotations

from weir.events.heartbeat import Heartbeat, VariantLoad
from weir.metrics_api.jobs import gauges_of
from weir.metrics_api.storage.port import Gauges


def beat(limit: int, **in_flight: int) -> Heartbeat:
    return Heartbeat(
        proxy_id="p", boot_id="b", version="1", started_at=0, sent_at=0, workers=1, max_in_flight=limit,
        variants={name: VariantLoad(in_flight=count) for name, count in in_flight.items()},
        accepted=0, journaled=0, acknowledged=0, dropped=0,
    )  # fmt: skip


def test_gauges_are_added_up_over_all_proxies() -> None:
    assert gauges_of([beat(100, production=3, canary=1), beat(50, production=4)]) == {
        "production": Gauges(7, 150),
        "canary": Gauges(1, 150),
    }


def test_production_is_there_as_soon_as_a_proxy_is() -> None:
    assert gauges_of([beat(100)]) == {"production": Gauges(0, 100)}
    assert gauges_of([]) == {}

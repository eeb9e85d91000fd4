"""What a batch of records comes to before the database is asked. Pure: it runs beside the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from weir.metrics_api.metrics.rollup import Folding
from weir.metrics_api.storage import request_row
from weir.metrics_api.storage.position import positions
from weir.metrics_api.storage.postgres.partitions import Month, month_of
from weir.metrics_api.storage.request_row import keys, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.metrics.dimension import Dimensions


class Draft(NamedTuple):
    """A batch, each request once, in the order of their ids: everybody inserts in this order, so that two
    processes with the same records wait for one another and never in a circle.
    """

    events: dict[bytes, RequestEvent]
    names: set[str | None]
    months: set[Month | None]
    folding: Folding
    combinations: set[Dimensions]


def draft(events: Sequence[RequestEvent]) -> Draft:
    """Of a request that comes twice the first telling stands."""
    unique: dict[bytes, RequestEvent] = {}
    for key, event in zip(keys([event.request_id for event in events]), events, strict=True):
        unique.setdefault(key, event)
    ordered = dict(sorted(unique.items()))
    folding = Folding()
    folding.add(ordered.values())
    full = folding.combinations()
    return Draft(
        ordered,
        texts(ordered.values()),
        {month_of(request_id) for request_id in ordered},
        folding,
        full | {dimensions.brief() for dimensions in full},
    )


def rows(
    events: Mapping[bytes, RequestEvent], names: Mapping[str | None, int | None]
) -> Iterator[tuple[Any, ...]]:
    """Rows in the order of writing.COLUMNS."""
    records = events.values()
    places = positions([event.started_at for event in records], events)
    for row, event in zip(request_row.rows(records, places, events, names), records, strict=True):
        yield (*row, names[event.model_requested if event.model is None else event.model])

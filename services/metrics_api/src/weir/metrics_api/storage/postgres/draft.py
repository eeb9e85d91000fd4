"""What a batch of records comes to before the database is asked. Pure: it runs beside the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from weir.metrics_api.metrics.rollup import dimensions_from, raw_dimensions
from weir.metrics_api.storage.position import position
from weir.metrics_api.storage.postgres.partitions import Month, month_of
from weir.metrics_api.storage.request_row import texts_of, to_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.metrics.dimension import Dimensions


class Draft(NamedTuple):
    """A batch, each request once, in the order of their ids: everybody inserts in this order, so that two
    processes with the same records wait for one another and never in a circle.
    """

    events: dict[bytes, RequestEvent]
    names: set[str | None]
    months: set[Month | None]
    combinations: set[Dimensions]


def key(event: RequestEvent) -> bytes:
    """The request's id as the database holds it."""
    return bytes.fromhex(event.request_id.replace("-", ""))


def draft(events: Sequence[RequestEvent]) -> Draft:
    """Of a request that comes twice the first telling stands."""
    unique: dict[bytes, RequestEvent] = {}
    for event in events:
        unique.setdefault(key(event), event)
    ordered = dict(sorted(unique.items()))
    combinations = {dimensions_from(raw) for raw in set(map(raw_dimensions, events))}
    return Draft(
        ordered,
        set().union(*map(texts_of, events)),
        {month_of(request_id) for request_id in ordered},
        combinations | {dimensions.brief() for dimensions in combinations},
    )


def rows(
    events: Mapping[bytes, RequestEvent], names: Mapping[str | None, int | None]
) -> list[tuple[Any, ...]]:
    """Rows in the order of writing.COLUMNS."""
    return [
        (
            *to_row(event, position(event.started_at, request_id), request_id, names),
            names[event.model_requested if event.model is None else event.model],
        )
        for request_id, event in events.items()
    ]

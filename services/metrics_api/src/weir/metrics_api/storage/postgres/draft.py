"""What a batch of records comes to before the database is asked. Pure: it runs beside the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from weir.metrics_api.metrics.columns import columns_of, model_filed
from weir.metrics_api.metrics.rollup import combinations
from weir.metrics_api.storage import request_row
from weir.metrics_api.storage.position import positions
from weir.metrics_api.storage.postgres.partitions import Month, month_of
from weir.metrics_api.storage.request_row import keys, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.events import RequestEvent
    from weir.metrics_api.metrics.columns import Columns
    from weir.metrics_api.metrics.dimension import Dimensions


class Draft(NamedTuple):
    """A batch, each request once, in the order of their ids: everybody inserts in this order, so that two
    processes with the same records wait for one another and never in a circle.
    """

    events: dict[bytes, RequestEvent]
    columns: Columns
    names: set[str | None]
    months: set[Month | None]
    combinations: set[Dimensions]


def draft(events: Sequence[RequestEvent]) -> Draft:
    """Of a request that comes twice the first telling stands."""
    unique: dict[bytes, RequestEvent] = {}
    for key, event in zip(keys([event.request_id for event in events]), events, strict=True):
        unique.setdefault(key, event)
    ordered = dict(sorted(unique.items()))
    columns = columns_of(ordered.values())
    full = combinations(columns)
    return Draft(
        ordered,
        columns,
        texts(columns),
        {month_of(request_id) for request_id in ordered},
        full | {dimensions.brief() for dimensions in full},
    )


def rows(batch: Draft, names: Mapping[str | None, int | None]) -> list[tuple[Any, ...]]:
    """Rows in the order of writing.COLUMNS."""
    columns, ids = batch.columns, [*batch.events]
    found = request_row.rows(columns, positions(columns["started_at"], ids), ids, names)
    filed = map(names.__getitem__, model_filed(columns))
    return [(*row, model) for row, model in zip(found, filed, strict=True)]

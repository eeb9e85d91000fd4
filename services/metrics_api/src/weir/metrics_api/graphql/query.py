"""The root of the graph: one field a report."""

# no `from __future__ import annotations`: Strawberry reads the annotations of resolvers at run time

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import strawberry
from strawberry import UNSET, Info, argument

from weir.events import Outcome
from weir.metrics_api.answers.dashboard import MetricSnapshot
from weir.metrics_api.answers.numbers import Metric, Summary
from weir.metrics_api.answers.request import Request, RequestPage
from weir.metrics_api.graphql.shapes import Series, Upstream, Variant
from weir.metrics_api.graphql.types import Long, Types, enumeration
from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.reports.reports import Reports, Stretch
from weir.metrics_api.reports.snapshot import RANGES
from weir.metrics_api.reports.summary import GROUPINGS

TYPES: Final = Types()
if TYPE_CHECKING:
    from enum import Enum

    # made at run time, of the record's outcomes and of the catalogue
    OutcomeChoice: TypeAlias = Enum
    Dimension: TypeAlias = Enum
    MetricSlug: TypeAlias = Enum
else:
    OutcomeChoice = TYPES.enum(Outcome)
    Dimension = enumeration("Dimension", GROUPINGS, "What traffic can be grouped by.")
    MetricSlug = enumeration("MetricSlug", CATALOG, "A metric of the catalogue.")


@strawberry.input(description="Which requests: of each field one of the values.")
class Filter:
    model: list[str] | None = strawberry.field(default=UNSET, description="As answered, else as requested.")
    variant: list[str] | None = strawberry.field(default=UNSET, description="`production`, `canary`.")
    user: list[str] | None = strawberry.field(
        default=UNSET, description="Read from rows, within bounds; the answer says whether it is complete."
    )
    project: list[str] | None = UNSET
    api_key_id: list[str] | None = UNSET
    upstream: list[str] | None = UNSET
    provider: list[str] | None = UNSET
    endpoint: list[str] | None = UNSET
    outcome: list[OutcomeChoice] | None = UNSET
    status: list[str] | None = strawberry.field(
        default=UNSET, description="Codes such as `404`, or classes such as `4xx`."
    )

    def lists(self) -> dict[str, list[str]]:
        """The values by name, of what was given."""
        return {
            name: [getattr(each, "value", each) for each in values]
            for name, values in vars(self).items()
            if values
        }


Context = Info[Reports, None]
Range = Annotated[
    str | None,
    argument(name="range", description="From 1m to 90d, such as 15m, 1h, 24h, 7d. 1h when not given."),
]
From = Annotated[
    Long | None, argument(name="from", description="Unix ms, together with `to` in place of `range`.")
]
To = Annotated[Long | None, argument(description="Unix ms.")]
Wanted = Annotated[Filter | None, argument(name="filter")]
By = Annotated[Dimension | None, argument(description="Group by this dimension.")]


async def _snapshots(
    root: Annotated[dict[str, Any], strawberry.Parent],
    info: Context,
    range_: Annotated[str, argument(name="range", description=f"One of {', '.join(RANGES)}.")] = "1h",
) -> Any:
    return await info.context.snapshots(range_, root["variant"])


VARIANT: Final = TYPES.object(
    Variant,
    {
        "snapshots": strawberry.field(
            _snapshots,
            graphql_type=list[TYPES.object(MetricSnapshot)],
            description="Of each bucket in which something happened, oldest first.",
        )
    },
)


@strawberry.type(description="Every question that can be asked.")
class Query:
    @strawberry.field(graphql_type=TYPES.object(RequestPage), description="Single requests, newest first.")
    async def requests(
        self,
        info: Context,
        range_: Range = UNSET,
        from_: From = UNSET,
        to: To = UNSET,
        wanted: Wanted = UNSET,
        limit: Annotated[int, argument(description="From 1 to 200.")] = 50,
        cursor: Annotated[str | None, argument(description="`next_cursor` of the page before.")] = UNSET,
    ) -> Any:
        return await info.context.requests(_stretch(range_, from_, to), _lists(wanted), limit, cursor or None)

    @strawberry.field(
        graphql_type=TYPES.object(Request) | None, description="One request, null when there is none."
    )
    async def request(
        self,
        info: Context,
        request_id: Annotated[str, argument(description="What the header x-weir-request-id said.")],
    ) -> Any:
        return await info.context.request(request_id)

    @strawberry.field(graphql_type=TYPES.object(Summary), description="Totals of a range, and by group.")
    async def summary(
        self,
        info: Context,
        range_: Range = UNSET,
        from_: From = UNSET,
        to: To = UNSET,
        wanted: Wanted = UNSET,
        by: By = UNSET,
    ) -> Any:
        return await info.context.summary(_stretch(range_, from_, to), _lists(wanted), _value(by))

    @strawberry.field(graphql_type=TYPES.object(Series), description="Metrics over time.")
    async def series(
        self,
        info: Context,
        metrics: Annotated[list[MetricSlug], argument(description="1 to 20 of them.")],
        range_: Range = UNSET,
        from_: From = UNSET,
        to: To = UNSET,
        wanted: Wanted = UNSET,
        by: By = UNSET,
        step: Annotated[Long | None, argument(description="Width of a bucket, ms; one is picked.")] = UNSET,
    ) -> Any:
        slugs = [metric.value for metric in metrics]
        stretch = _stretch(range_, from_, to)
        found = await info.context.series(stretch, _lists(wanted), slugs, _value(by), step or None)
        lines = [
            {"metric": slug, "group": group, "values": values}
            for slug, groups in found["series"].items()
            for group, values in groups.items()
        ]
        return {**found, "lines": lines}

    @strawberry.field(
        graphql_type=list[TYPES.object(Upstream)],
        description="Upstreams with traffic in a range, most first.",
    )
    async def upstreams(
        self,
        info: Context,
        range_: Range = UNSET,
        from_: From = UNSET,
        to: To = UNSET,
        wanted: Wanted = UNSET,
    ) -> Any:
        found = await info.context.summary(_stretch(range_, from_, to), _lists(wanted), "upstream")
        return [
            {**group, "name": group["key"]["upstream"]}
            for group in found["groups"]
            if not group["key"].get("other")
        ]

    @strawberry.field(graphql_type=list[VARIANT], description="Every variant ever seen, production always.")
    async def variants(self, info: Context) -> Any:
        return [{"variant": name, **status} for name, status in (await info.context.status()).items()]

    @strawberry.field(graphql_type=list[TYPES.object(Metric)], description="The catalogue of metrics.")
    def metrics(self) -> Any:
        return [{name: getattr(metric, name) for name in Metric.model_fields} for metric in CATALOG.values()]


def _stretch(range_: str | None, start: int | None, end: int | None) -> Stretch:
    return Stretch(range_ or None, None if start is UNSET else start, None if end is UNSET else end)


def _lists(wanted: Filter | None) -> dict[str, list[str]]:
    return wanted.lists() if wanted else {}


def _value(by: Any) -> str | None:
    return by.value if by else None

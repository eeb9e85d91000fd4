"""The description of every endpoint, from which OpenAPI is made. Tests hold the handlers against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from weir.events import Outcome
from weir.metrics_api.answers.dashboard import Configuration, MetricSnapshot, VariantStatus
from weir.metrics_api.answers.health import Health, Readiness
from weir.metrics_api.answers.installation import Setup, System
from weir.metrics_api.answers.live import EventMessage
from weir.metrics_api.answers.numbers import Catalog, Series, Summary
from weir.metrics_api.answers.pipeline import Pipeline
from weir.metrics_api.answers.request import Request, RequestPage
from weir.metrics_api.live.listener import TOPICS
from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.reports.requests import MOST
from weir.metrics_api.reports.snapshot import RANGES
from weir.metrics_api.reports.summary import GROUPINGS
from weir.metrics_api.reports.time_range import STEPS
from weir.metrics_api.rest.dashboard import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
_TEXT: Final = {"type": "string"}
_MOMENT: Final = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: of the query, unless `place` says `path` or `header`."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: _TEXT)
    required: bool = False
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One GET endpoint; `answer` is the type of its body, or of each message of a stream."""

    path: str
    name: str
    tag: str
    summary: str
    answer: Any
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    media: str = JSON
    may_be_missing: bool = False


def _list_of(values: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """Several values in one parameter, separated by commas."""
    return {"type": "array", "items": {"type": "string", "enum": list(values)}}


WINDOW: Final = (
    Parameter("range", "From 1m to 90d, such as 15m, 1h, 24h, 7d.", {**_TEXT, "default": "1h"}),
    Parameter("from", "Start, Unix ms; together with `to`, in place of `range`.", _MOMENT),
    Parameter("to", "End, Unix ms.", _MOMENT),
)
FILTERS: Final = (
    *(
        Parameter(name, f"{text} Several values are separated by commas.")
        for name, text in {
            "model": "The model as answered, else as requested.",
            "variant": "`production`, `canary`; `all` for no filter.",
            "user": "Who asked.",
            "project": "For which project.",
            "api_key_id": "With whose key.",
            "upstream": "The upstream's name.",
            "provider": "The upstream's dialect.",
            "endpoint": "The operation, such as `chat.completions`.",
        }.items()
    ),
    Parameter("outcome", "The final fate.", _list_of([outcome.value for outcome in Outcome])),
    Parameter("status", "Codes such as `404`, or classes such as `4xx`, separated by commas."),
)
BY: Final = Parameter("by", "Group by this dimension.", {**_TEXT, "enum": list(GROUPINGS)})
SHARED: Final = (*WINDOW, *FILTERS, BY)
"""Parameters of several endpoints, described once."""

ENDPOINTS: Final = (
    Endpoint(
        "/api/requests",
        "listRequests",
        "Requests",
        "Single requests, newest first",
        RequestPage,
        (
            *WINDOW,
            *FILTERS,
            Parameter(
                "limit", "How many.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}
            ),
            Parameter("cursor", "`next_cursor` of the page before; it carries its time range."),
        ),
    ),
    Endpoint(
        "/api/requests/{id}",
        "getRequest",
        "Requests",
        "One request",
        Request,
        (Parameter("id", "What the header x-weir-request-id said.", required=True, place="path"),),
        may_be_missing=True,
    ),
    Endpoint(
        "/api/summary",
        "getSummary",
        "Numbers",
        "Totals of a range, of the one before, and by group",
        Summary,
        (*WINDOW, *FILTERS, BY),
        "Read from roll-ups; from rows, within bounds, where `user` is named.",
    ),
    Endpoint(
        "/api/series",
        "getSeries",
        "Numbers",
        "Metrics over time, columnar",
        Series,
        (
            Parameter("metrics", "Slugs of the catalogue.", _list_of(list(CATALOG)), required=True),
            *WINDOW,
            *FILTERS,
            BY,
            Parameter(
                "step",
                "Width of a bucket, ms; the finest that makes at most 400 points when not given.",
                {"type": "integer", "enum": [step * 1000 for step in STEPS]},
            ),
        ),
    ),
    Endpoint("/api/catalog", "getCatalog", "Numbers", "Every metric there is", Catalog),
    Endpoint(
        "/api/status",
        "getStatus",
        "Live dashboard",
        "Each variant over the last minute",
        dict[str, VariantStatus],
    ),
    Endpoint(
        "/api/metrics",
        "getMetrics",
        "Live dashboard",
        "Snapshots of a range, oldest first",
        list[MetricSnapshot],
        (
            Parameter("range", "How far back.", {**_TEXT, "enum": list(RANGES), "default": "1h"}),
            Parameter("variant", "Of which.", {**_TEXT, "enum": list(VARIANTS), "default": "all"}),
        ),
        "5-second buckets up to 1 h, 1-minute buckets beyond; none for a bucket in which nothing happened.",
    ),
    Endpoint("/api/config", "getConfig", "Live dashboard", "What this metrics API does", Configuration),
    Endpoint(
        "/api/events",
        "getEvents",
        "Live dashboard",
        "Live messages",
        EventMessage,
        (
            Parameter("topics", "Of which kinds.", {**_list_of(list(TOPICS)), "default": ["metrics"]}),
            *FILTERS,
            Parameter("last_event_id", "As the header, for clients that cannot set it."),
            Parameter("Last-Event-ID", "Resume after this id, without a gap.", place="header"),
        ),
        "Server-sent events, with `id:` lines and a heartbeat comment every 15 s. Filters apply to requests. "
        "Each `data:` line is one of the messages below.",
        EVENT_STREAM,
    ),
    Endpoint("/healthz", "getHealth", "Weir itself", "Whether the process lives", Health),
    Endpoint("/readyz", "getReadiness", "Weir itself", "Whether it can do its work", Readiness),
    Endpoint("/api/setup", "getSetup", "Weir itself", "How to point a client at the proxies", Setup),
    Endpoint("/api/system", "getSystem", "Weir itself", "Proxies, stream and database", System),
    Endpoint(
        "/api/pipeline",
        "getPipeline",
        "Weir itself",
        "Where every accepted request is",
        Pipeline,
        description="The reconciliation. At rest, `accepted` is the sum of the others; a record that moves "
        "while it is counted may be counted in two places, but never in none. `unaccounted` is what has been "
        "in none of them for 20 s.",
    ),
)

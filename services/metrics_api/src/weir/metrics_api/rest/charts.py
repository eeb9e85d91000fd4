"""`/api/summary`, `/api/series` and `/api/catalog`: numbers over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.metrics_api.metrics.catalog import CATALOG
from weir.metrics_api.reports.filter import PARAMETERS, parse_filter
from weir.metrics_api.reports.series import MOST_METRICS, SeriesQuestion, series
from weir.metrics_api.reports.summary import GROUPINGS, SummaryQuestion, summary
from weir.metrics_api.reports.time_range import parse_window
from weir.metrics_api.rest.context import STORE, json, now_ms, retention
from weir.metrics_api.rest.parameters import one_of, parameters, refuse, whole_number
from weir.metrics_api.rest.requests import WINDOW

if TYPE_CHECKING:
    from aiohttp import web

    from weir.metrics_api.metrics.metric import Metric

_DAY_MS: Final = 86_400_000


async def get_summary(request: web.Request) -> web.Response:
    values = parameters(request, (*WINDOW, *PARAMETERS, "by"))
    now = now_ms(request.app)
    window = parse_window(values.get("range"), values.get("from"), values.get("to"), now)
    question = SummaryQuestion(window, parse_filter(values), one_of(values, "by", GROUPINGS), now)
    return json(await summary(request.app[STORE], question, retention(request.app)))


async def get_series(request: web.Request) -> web.Response:
    values = parameters(request, (*WINDOW, *PARAMETERS, "by", "metrics", "step"))
    now = now_ms(request.app)
    question = SeriesQuestion(
        window=parse_window(values.get("range"), values.get("from"), values.get("to"), now),
        wanted=parse_filter(values),
        metrics=_metrics(values.get("metrics")),
        by=one_of(values, "by", GROUPINGS),
        step_ms=whole_number(values, "step", 0, _DAY_MS) or None,
        now_ms=now,
    )
    return json(await series(request.app[STORE], question, retention(request.app)))


async def get_catalog(request: web.Request) -> web.Response:
    parameters(request, ())
    return json(
        {
            "metrics": [
                {
                    "slug": metric.slug,
                    "title": metric.title,
                    "unit": metric.unit,
                    "description": metric.description,
                }
                for metric in CATALOG.values()
            ]
        }
    )


def _metrics(text: str | None) -> tuple[Metric, ...]:
    slugs = list(dict.fromkeys(slug for slug in (text or "").split(",") if slug))
    if not slugs:
        refuse("metrics is missing; name one or more of /api/catalog, such as metrics=requests,ttft_p95")
    if len(slugs) > MOST_METRICS:
        refuse(f"metrics names {len(slugs)} metrics; at most {MOST_METRICS} are answered at once")
    for slug in slugs:
        if slug not in CATALOG:
            refuse(f"metric {slug[:40]!r} is unknown; /api/catalog lists them: {', '.join(CATALOG)}")
    return tuple(CATALOG[slug] for slug in slugs)

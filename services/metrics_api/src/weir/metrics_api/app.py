"""The metrics API put together: the one place that knows every room."""

from __future__ import annotations

import asyncio
import hashlib
import platform
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import httpx
from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import generate_latest

from weir.events import reader as stream
from weir.events.corridor import Corridor
from weir.events.stream import request_streams
from weir.metrics_api.graphql.door import graphql, sdl
from weir.metrics_api.graphql.schema import Graph
from weir.metrics_api.ingest.consumer import Consumer
from weir.metrics_api.ingest.progress import Progress
from weir.metrics_api.ingest.watch import PipelineWatch
from weir.metrics_api.jobs import Jobs
from weir.metrics_api.live.hub import Hub
from weir.metrics_api.pages import serve as pages
from weir.metrics_api.reports.pipeline import Reconciliation
from weir.metrics_api.reports.reports import Reports
from weir.metrics_api.rest import (
    charts,
    dashboard,
    events,
    installation,
    openapi,
    pipeline,
    problems,
    requests,
)
from weir.metrics_api.rest.context import (
    BUS,
    CLOCK,
    HUB,
    RECONCILIATION,
    SETTINGS,
    STARTED_AT,
    STORE,
    TARGETS,
    now_ms,
    retention,
)
from weir.metrics_api.scrape.scraper import Scraper
from weir.metrics_api.storage.port import StorageError, Store
from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.sqlite import SqliteStore, ownership
from weir.servicekit.clock import Clock, SystemClock
from weir.servicekit.errors import problems as problem_documents
from weir.servicekit.health import Check, healthz, readyz
from weir.servicekit.hosts import Hosts, expected_hosts
from weir.servicekit.origins import Cors, guard_changes
from weir.servicekit.tasks import BackgroundTasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from weir.metrics_api.settings import MetricsApiSettings

WATCH: Final = web.AppKey("watch", PipelineWatch)
GRAPH: Final = web.AppKey("graph", Graph)
OWN_NAME: Final = "metrics-api"
"""What it is called among its containers."""


def create_app(settings: MetricsApiSettings, clock: Clock | None = None) -> web.Application:
    """The application; everything it opens is closed in reverse order at its end."""
    cors = Cors(settings.cors_origins)
    app = web.Application(
        middlewares=[
            problem_documents,
            expected_hosts(Hosts(settings.hosts, settings.listen, own_name=OWN_NAME), "WEIR_API_HOSTS"),
            cors.middleware(),
            guard_changes(cors, json_only=True),
            problems.translate,
        ],
        handler_args={"handler_cancellation": True},
    )
    app.on_response_prepare.append(cors.add_headers)
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    tasks = Gauge("weir_tasks", "Tasks of the event loop.", registry=registry)
    tasks.set_function(lambda: len(asyncio.all_tasks()))
    progress = Progress(registry)
    app[SETTINGS] = settings
    app[CLOCK] = clock or SystemClock()
    app[STARTED_AT] = now_ms(app)
    app[GRAPH] = Graph(introspection=settings.graphql_introspection, suggestions=settings.graphql_suggestions)
    app.cleanup_ctx.append(_storage)
    app.cleanup_ctx.append(_redis(progress, registry))
    app.on_shutdown.append(_end_streams)
    app.on_response_prepare.append(_name_no_versions)
    _route(app, progress, registry)
    return app


async def _storage(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    with ExitStack() as owned:
        if settings.postgres_url is None:
            owned.enter_context(ownership.owned(settings.database_path))
        app[STORE] = store = await _open(settings)
        yield
        await store.close()


async def _open(settings: MetricsApiSettings) -> Store:
    if settings.postgres_url is not None:
        return await PostgresStore.open(settings.postgres_url)
    return SqliteStore.open(settings.database_path)


def _redis(
    progress: Progress, registry: CollectorRegistry
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def connected(app: web.Application) -> AsyncIterator[None]:
        settings = app[SETTINGS]
        redis = stream.client(settings.redis_url)
        reading = stream.client(settings.redis_url, block=stream.BLOCK_SECONDS)
        listening = stream.client(settings.redis_url, block=5.0)
        streams = request_streams(settings.stream_shards)
        name = consumer_name(settings)
        readers = [stream.StreamReader(redis, reading, name, each) for each in streams]
        app[HUB] = hub = Hub(redis, listening)
        app[BUS] = corridor = Corridor(redis, streams)
        app[RECONCILIATION] = Reconciliation(corridor, app[STORE], app[CLOCK].monotonic)
        app[WATCH] = watch = PipelineWatch(app[RECONCILIATION], app[CLOCK], registry)
        tasks = BackgroundTasks()
        async with httpx.AsyncClient(follow_redirects=False, timeout=settings.scrape_timeout) as client:
            app[TARGETS] = scraper = Scraper(
                settings.scrape_targets, settings.scrape_timeout, app[CLOCK], client
            )
            jobs = Jobs(
                settings,
                app[STORE],
                redis,
                readers,
                app[CLOCK],
                scraper.scrape,
                progress,
                watch.look,
            )
            tasks.keep_running("ingest", Consumer(readers, app[STORE], progress).run)
            tasks.keep_running("live", hub.run)
            jobs.start(tasks)
            yield
            await tasks.close()
        for connection in (redis, reading, listening):
            await connection.aclose()

    return connected


def consumer_name(settings: MetricsApiSettings) -> str:
    """The same after a restart, so that what was left unfinished is found again; different per machine, and
    per port where several share a PostgreSQL.
    """
    if settings.postgres_url is None:
        place = str(settings.database_path.resolve())
    else:
        place = f"{settings.listen} {settings.database_shown}"
    return f"{platform.node()}:{hashlib.sha256(place.encode()).hexdigest()[:8]}"


async def _name_no_versions(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "weir"


async def _end_streams(app: web.Application) -> None:
    app[HUB].end()


def _route(app: web.Application, progress: Progress, registry: CollectorRegistry) -> None:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get(
                "/readyz",
                readyz(
                    {
                        "redis": _check_redis(progress),
                        "database": _check_database(app, progress),
                        "pipeline": _check_pipeline(app),
                    }
                ),
            ),
            web.get("/metrics", metrics),
            web.get("/api/status", dashboard.get_status),
            web.get("/api/metrics", dashboard.get_metrics),
            web.get("/api/config", dashboard.get_config),
            web.get("/api/setup", installation.get_setup),
            web.get("/api/system", installation.get_system),
            web.get("/api/pipeline", pipeline.get_pipeline),
            web.get("/api/events", events.get_events),
            web.get("/api/requests", requests.list_requests),
            web.get("/api/requests/{id}", requests.get_request),
            web.get("/api/summary", charts.get_summary),
            web.get("/api/series", charts.get_series),
            web.get("/api/catalog", charts.get_catalog),
            web.post("/graphql", graphql(app[GRAPH], _reports)),
            web.get("/graphql", pages.graphql_page()),
            web.get("/api/schema.graphql", sdl(app[GRAPH])),
            web.get("/api/openapi.json", openapi.get_openapi),
            web.get("/api/docs", pages.page("api.html")),
            web.get("/api/docs/{name}", pages.get_file),
        ]
    )


def _reports(app: web.Application) -> Reports:
    return Reports(app[STORE], retention(app), app[CLOCK])


def _check_redis(progress: Progress) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        trouble = progress.redis_trouble or progress.stream_trouble
        return Check(ok=trouble is None, detail=trouble or "connected", essential=False)

    return check


def _check_pipeline(app: web.Application) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        return await app[WATCH].check()

    return check


def _check_database(app: web.Application, progress: Progress) -> Callable[[], Awaitable[Check]]:
    async def check() -> Check:
        try:
            await app[STORE].check()
        except StorageError as error:
            return Check(ok=False, detail=str(error))
        trouble = progress.database_trouble
        return Check(ok=trouble is None, detail=trouble or app[STORE].kind)

    return check

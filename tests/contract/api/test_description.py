"""The API is what its description says: written down, routed, with these parameters and these answers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter
from tests.support.builders import make_event
from tests.support.metrics_api import MetricsApi
from tests.support.redis_server import RedisServer
from tests.support.traffic import beat

from weir.events import Attempt, Outcome
from weir.events.request_event import RequestEvent
from weir.metrics_api.answers.live import Connected, EventMessage
from weir.metrics_api.answers.problem import Problem
from weir.metrics_api.app import create_app
from weir.metrics_api.graphql.schema import Graph
from weir.metrics_api.rest import openapi
from weir.metrics_api.rest.description import ENDPOINTS, EVENT_STREAM
from weir.metrics_api.settings import MetricsApiSettings
from weir.servicekit.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weir.metrics_api.rest.description import Endpoint

SCHEMA = Path(__file__).parents[3] / "services" / "metrics_api" / "schema"
NOT_DESCRIBED = {
    "/metrics",
    "/graphql",
    "/api/schema.graphql",
    "/api/openapi.json",
    "/api/docs",
    "/api/docs/{name}",
}
"""Not JSON of this API, or the description itself."""


def by_path(endpoint: Endpoint) -> str:
    return endpoint.path


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsApi]:
    """Every kind of request, a proxy that reports, and a target that cannot be reached."""
    folder = tmp_path_factory.mktemp("description")
    redis = RedisServer(folder / "redis")
    redis.start()
    now = time.time_ns() // 1000
    kinds = [make_event(started_at=now - i * 1_000_000, outcome=outcome) for i, outcome in enumerate(Outcome)]
    bare = RequestEvent(
        request_id="0199aaaa-0000-7000-8000-000000000001",
        proxy_id="p",
        started_at=now,
        endpoint="chat.completions",
        outcome=Outcome.INTERNAL_ERROR,
    )
    retried = make_event(
        started_at=now,
        usage_raw={"prompt_tokens": 1, "nested": {"a": [1]}},
        attempts=[Attempt(upstream="a", status=503, ms=1.5), Attempt(upstream="b", error="refused")],
    )
    settings = {"WEIR_SCRAPE_TARGETS": "http://127.0.0.1:1/metrics"}
    with MetricsApi(redis.url, folder / "data", settings) as running:
        beat(running.redis, in_flight=3, accepted=10)
        running.send([*kinds, bare, retried])
        running.wait_for(len(kinds) + 2)
        yield running
    redis.stop()


def test_what_is_written_down_is_what_is_generated() -> None:
    hint = "run `make schema` and commit the result"
    assert (SCHEMA / "openapi.json").read_text(encoding="utf-8") == openapi.text(), hint
    assert (SCHEMA / "schema.graphql").read_text(encoding="utf-8") == Graph().sdl, hint


def test_every_route_is_described_and_nothing_else() -> None:
    app = create_app(load(MetricsApiSettings, {}))
    routed = {
        route.resource.canonical
        for route in app.router.routes()
        if route.resource is not None and route.method == "GET"
    }
    assert routed - NOT_DESCRIBED == {endpoint.path for endpoint in ENDPOINTS}


def test_every_reference_leads_somewhere() -> None:
    document = openapi.document()

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for name, value in node.items():  # pyright: ignore[reportUnknownVariableType] -- any JSON
                if name == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(node, list):
            for value in node:  # pyright: ignore[reportUnknownVariableType] -- any JSON
                yield from references(value)

    found = set(references(document))
    assert found
    for reference in found:
        at: Any = document
        for key in reference.removeprefix("#/").split("/"):
            at = at[key]
    names = [endpoint.name for endpoint in ENDPOINTS]
    assert len(names) == len(set(names)), "an operation's id names one operation"


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each.path.startswith("/api/")], ids=by_path
)
def test_its_parameters_are_the_described_ones(api: MetricsApi, endpoint: Endpoint) -> None:
    """An unknown parameter is refused with the list of known ones."""
    path = endpoint.path.replace("{id}", "x")
    detail: str = api.get(path, surely_unknown="1").json()["detail"]
    listed = detail.partition("known are ")[2]
    known = set[str]() if listed == "none" else set(listed.split(", "))
    assert known == {parameter.name for parameter in endpoint.parameters if parameter.place == "query"}


QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "/api/requests": [{}, {"limit": 1}],
    "/api/summary": [{}, {"by": "model"}, {"by": "user"}, {"range": "7d"}, {"model": "no such"}],
    "/api/series": [{"metrics": "requests,ttft_p95", "by": "outcome"}, {"metrics": "req_rate", "user": "x"}],
    "/api/metrics": [{}, {"range": "7d", "variant": "canary"}],
}


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.media != EVENT_STREAM], ids=by_path)
def test_its_answers_have_the_described_shape(api: MetricsApi, endpoint: Endpoint) -> None:
    shape: TypeAdapter[Any] = TypeAdapter(endpoint.answer)
    paths = [endpoint.path]
    if "{id}" in endpoint.path:
        paths = [f"/api/requests/{row['request_id']}" for row in api.all_requests()]
    for path in paths:
        for question in QUESTIONS.get(endpoint.path, [{}]):
            answer = api.get(path, **question)
            assert answer.status_code == 200, answer.text
            shape.validate_json(answer.content, strict=True)


def test_live_messages_have_the_described_shape(api: MetricsApi) -> None:
    shape: TypeAdapter[Any] = TypeAdapter(EventMessage)
    with api.listen(topics="metrics,requests") as listening:
        messages = listening.messages()
        assert isinstance(shape.validate_json(json.dumps(next(messages)), strict=True), Connected)
        api.send([make_event(started_at=time.time_ns() // 1000)])
        seen: set[str] = set()
        for message in messages:
            seen.add(shape.validate_json(json.dumps(message), strict=True).type)
            if seen == {"metrics", "requests"}:
                break


def test_errors_have_the_described_shape(api: MetricsApi) -> None:
    for answer in (
        api.get("/api/summary", range="x"),
        api.get("/api/requests/none"),
        api.get("/api/nothing"),
        api.get("/api/events", topics="x"),
    ):
        Problem.model_validate_json(answer.content, strict=True)


def test_it_is_served_as_it_is_written_down(api: MetricsApi) -> None:
    assert api.get("/api/openapi.json").text == openapi.text()
    assert api.get("/api/schema.graphql").text == Graph().sdl

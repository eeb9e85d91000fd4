"""`/graphql` of the real process: the same numbers as REST, and only what is safe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from graphql import get_introspection_query
from tests.support.builders import make_event
from tests.support.graphql import ask, data, post
from tests.support.metrics_api import MetricsApi
from tests.support.redis_server import RedisServer

from weir.events import Outcome
from weir.metrics_api.answers.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERY = {"query": "{ metrics { slug } }"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsApi]:
    """One process for all questions: they change nothing."""
    folder = tmp_path_factory.mktemp("graphql")
    redis = RedisServer(folder / "redis")
    redis.start()
    now = time.time_ns() // 1000
    well = [
        make_event(
            started_at=now - i * 1_000_000, user="ann" if i % 2 else "bob", metadata={"x-weir-team": "a"}
        )
        for i in range(20)
    ]
    failed = [make_event(started_at=now, outcome=Outcome.TIMEOUT, status_code=504) for _ in range(3)]
    canary = [make_event(started_at=now, variant="canary", upstream="gpu-2") for _ in range(2)]
    with MetricsApi(redis.url, folder / "data") as running:
        running.send([*well, *failed, *canary])
        running.wait_for(25)
        yield running
    redis.stop()


def all_fields() -> str:
    """Every field of a request; attempts have their own."""
    return " ".join(name for name in Request.model_fields if name != "attempts") + " attempts { upstream ms }"


def test_requests_are_those_of_rest_field_for_field(api: MetricsApi) -> None:
    query = f"{{ requests(limit: 25) {{ items {{ {all_fields()} }} next_cursor }} }}"
    assert data(api, query)["requests"] == api.json("/api/requests", limit=25)


def test_pages_go_on_where_the_last_one_ended(api: MetricsApi) -> None:
    query = """query ($cursor: String) {
        requests(limit: 10, cursor: $cursor) { items { request_id } next_cursor } }"""
    found: list[str] = []
    cursor = None
    for _ in range(3):
        page = data(api, query, cursor=cursor)["requests"]
        found += [item["request_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == [item["request_id"] for item in api.all_requests()]


def test_one_request(api: MetricsApi) -> None:
    request_id = api.json("/api/requests", limit=1)["items"][0]["request_id"]
    query = "query ($id: String!) { request(request_id: $id) { request_id outcome metadata } }"
    assert data(api, query, id=request_id)["request"]["request_id"] == request_id
    assert data(api, query, id="none")["request"] is None


def test_the_summary_is_that_of_rest(api: MetricsApi) -> None:
    query = """query ($from: Long, $to: Long) { summary(from: $from, to: $to, by: model) {
        from to source complete last_request_at
        total { requests errors outcomes status_classes error_rate_pct ttft_ms { p50 p95 p99 n } cost_status }
        groups { key provider requests share_pct strip { requests errors } } } }"""
    to = time.time_ns() // 1_000_000
    found = data(api, query, **{"from": to - 3_600_000}, to=to)["summary"]
    rest = api.json("/api/summary", **{"from": to - 3_600_000}, to=to, by="model")
    assert found == {
        **{name: rest[name] for name in ("from", "to", "source", "complete", "last_request_at")},
        "total": {name: rest["total"][name] for name in found["total"]},
        "groups": [{name: group[name] for name in found["groups"][0]} for group in rest["groups"]],
    }


def test_series_are_those_of_rest(api: MetricsApi) -> None:
    to = time.time_ns() // 1_000_000
    window = {"from": to - 600_000, "to": to}
    query = """query ($from: Long, $to: Long) {
        series(metrics: [requests, latency_p95], from: $from, to: $to, by: outcome) {
            t0 step source lines { metric group values } } }"""
    found = data(api, query, **window)["series"]
    rest = api.json("/api/series", metrics="requests,latency_p95", by="outcome", **window)
    assert (found["t0"], found["step"], found["source"]) == (rest["t0"], rest["step"], rest["source"])
    lines: dict[str, dict[str, Any]] = {}
    for line in found["lines"]:
        lines.setdefault(line["metric"], {})[line["group"]] = line["values"]
    assert lines == rest["series"]


def test_variants_upstreams_and_metrics(api: MetricsApi) -> None:
    found = data(
        api,
        '{ variants { variant healthy snapshots(range: "5m") { timestamp requests_2xx status_code_rates } }'
        " upstreams { name provider requests outcomes share_pct } metrics { slug title unit description } }",
    )
    assert [variant["variant"] for variant in found["variants"]] == ["production", "canary"]
    newest = found["variants"][1]["snapshots"][-1]
    assert newest["requests_2xx"] == 2
    assert {up["name"]: up["requests"] for up in found["upstreams"]} == {"local": 23, "gpu-2": 2}
    assert {"metrics": found["metrics"]} == api.json("/api/catalog")


def test_filters_are_those_of_rest(api: MetricsApi) -> None:
    query = "query ($filter: Filter) { requests(filter: $filter, limit: 200) { items { request_id } } }"
    for wanted, rest in (
        ({"outcome": ["timeout"]}, {"outcome": "timeout"}),
        ({"user": ["ann", "bob"], "status": ["2xx"]}, {"user": "ann,bob", "status": "2xx"}),
        ({"variant": ["canary"]}, {"variant": "canary"}),
        ({"model": None}, {}),
    ):
        found = data(api, query, filter=wanted)["requests"]["items"]
        there = api.json("/api/requests", limit=200, **rest)["items"]
        assert [item["request_id"] for item in found] == [item["request_id"] for item in there]


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ('{ summary(range: "x") { to } }', "invalid_range", "write a duration"),
        ('{ summary(range: "1h", from: 1, to: 2) { to } }', "invalid_range", "ambiguous"),
        ('{ requests(cursor: "x") { next_cursor } }', "invalid_cursor", "next_cursor"),
        ("{ requests(limit: 201) { next_cursor } }", "invalid_parameter", "from 1 to 200"),
        ("{ requests(limit: 0) { next_cursor } }", "invalid_parameter", "from 1 to 200"),
        ('{ requests(filter: { status: ["9"] }) { next_cursor } }', "invalid_parameter", "4xx"),
        ("{ series(metrics: []) { t0 } }", "invalid_parameter", "1 to 20"),
        ("{ series(metrics: [requests], step: 7) { t0 } }", "invalid_range", "is not a step"),
        ('{ variants { snapshots(range: "2h") { timestamp } } }', "invalid_range", "5m"),
        ("{ summary(from: 1.5) { to } }", "invalid_query", "whole number"),
        ("{ summary(filter: { outcome: [lost] }) { to } }", "invalid_query", "lost"),
        ("{ requests(limit: 99999999999) { next_cursor } }", "invalid_query", "32-bit"),
    ],
)
def test_wrong_questions_are_told_what_is_right(api: MetricsApi, query: str, code: str, words: str) -> None:
    [error] = ask(api, query)["errors"]
    assert error["extensions"]["code"] == code
    assert words in error["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([QUERY], "batch_refused"),
        ("text", "invalid_request"),
        ({}, "invalid_request"),
        ({"query": ""}, "invalid_request"),
        ({"query": 7}, "invalid_request"),
        ({"query": "{x}", "variables": []}, "invalid_request"),
        ({"query": "{x}", "operationName": 1}, "invalid_request"),
    ],
)
def test_other_bodies_are_refused(api: MetricsApi, body: Any, code: str) -> None:
    answer = post(api, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    "content", [b"{", b"", b"[" * 100_000, b'{"query": "\xff"}', b'{"query": "\\ud800"}']
)
def test_what_is_not_json_is_refused(api: MetricsApi, content: bytes) -> None:
    answer = httpx.post(
        f"{api.url}/graphql", content=content, headers={"Content-Type": "application/json"}, trust_env=False
    )
    assert answer.status_code == 400


def test_only_json_by_post_from_own_pages_runs_anything(api: MetricsApi) -> None:
    url = f"{api.url}/graphql"
    form = httpx.post(url, data={"query": "{ metrics { slug } }"}, trust_env=False)
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
    text = httpx.post(
        url, content='{"query": "{x}"}', headers={"Content-Type": "text/plain"}, trust_env=False
    )
    assert text.status_code == 415
    foreign = post(api, QUERY, Origin="https://evil.example", Sec_Fetch_Site="cross-site")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "cross_site")
    by_get = httpx.get(url, params=QUERY, trust_env=False)
    assert by_get.headers["Content-Type"].startswith("text/html"), "a page, no answer"
    assert "usage_coverage_pct" not in by_get.text


def test_the_newer_media_type_has_its_own_statuses(api: MetricsApi) -> None:
    modern = "application/graphql-response+json"
    good, bad = post(api, QUERY, Accept=modern), post(api, {"query": "{ x }"}, Accept=modern)
    assert (good.status_code, bad.status_code) == (200, 400)
    assert good.headers["Content-Type"].startswith(modern)
    assert post(api, {"query": "{ x }"}).status_code == 200


def test_tools_may_read_the_schema(api: MetricsApi) -> None:
    assert data(api, get_introspection_query())["__schema"]["queryType"]["name"] == "Query"
    assert "type Query {" in api.get("/api/schema.graphql").text


def test_introspection_and_suggestions_follow_their_settings(
    redis_server: RedisServer, tmp_path: Any
) -> None:
    settings = {"WEIR_GRAPHQL_INTROSPECTION": "0", "WEIR_GRAPHQL_SUGGESTIONS": "0"}
    with MetricsApi(redis_server.url, tmp_path, settings) as api:
        assert "disabled" in ask(api, "{ __schema { queryType { name } } }")["errors"][0]["message"]
        assert "Did you mean" not in str(ask(api, "{ metrics { slugg } }"))
        assert api.get("/api/schema.graphql").status_code == 404

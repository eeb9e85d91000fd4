"""Whatever is asked of the API: an answer of the shape that its description promises, and never a 500."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.builders import make_event
from tests.support.metrics_api import MetricsApi
from tests.support.redis_server import RedisServer
from tests.support.traffic import beat

from weir.events import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = Path(__file__).parents[3] / "services" / "metrics_api" / "schema" / "openapi.json"
DESCRIPTION: Final[dict[str, Any]] = json.loads(FILE.read_text())
COMPONENTS: Final[dict[str, Any]] = DESCRIPTION["components"]
PATHS: Final = [path for path in DESCRIPTION["paths"] if path != "/api/events"]
"""Live events are a stream, which has tests of its own."""
LONGEST_LINE: Final = 8000
"""A longer request line is no HTTP that is understood, and answered in plain text."""
NASTY: Final = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-1",
            "1e9",
            "999999999999999999999",
            "NaN",
            "null",
            "true",
            "*",
            "%",
            "\x00",
            "\ud7ff",
        ),
        *(
            "'",
            '"',
            "' or 1=1 --",
            "a,b",
            ",",
            ",,",
            "1h",
            "90d",
            "100y",
            "now",
            "2024-01-01T00:00:00Z",
            "0s",
        ),
        *(
            "../../etc/passwd",
            "<img src=x>",
            "\u202e",
            "é",
            "🙂",
            "x" * 300,
            "x" * 5000,
            "1700000000000",
            "!a",
        ),
    ]
)


def parameters_of(path: str) -> list[dict[str, Any]]:
    listed = DESCRIPTION["paths"][path]["get"].get("parameters", [])
    return [
        COMPONENTS["parameters"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each in listed
    ]


def value_of(parameter: dict[str, Any]) -> st.SearchStrategy[str]:
    """What the description allows, and what it does not."""
    schema = parameter["schema"]
    several = schema.get("type") == "array"
    allowed = (schema["items"] if several else schema).get("enum")
    known = (
        st.sampled_from([str(each) for each in allowed])
        if allowed
        else st.sampled_from(["llama3", "1h", "5"])
    )
    if several:
        known = st.lists(known, min_size=1, max_size=4).map(",".join)
    return st.one_of(known, known, NASTY, st.text(max_size=20))


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str]:
    """The template of a path, and a URL of it."""
    path = draw(st.sampled_from(PATHS))
    query: list[tuple[str, str]] = []
    url = path
    for parameter in parameters_of(path):
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", quote(draw(value_of(parameter)), safe="") or "-")
        elif parameter.get("required") or (parameter["in"] == "query" and draw(st.integers(0, 3)) == 0):
            query.append((parameter["name"], draw(value_of(parameter))))
    if draw(st.integers(0, 9)) == 0:
        query.append((draw(st.text(max_size=9)), "x"))
    return path, url + ("?" + urlencode(query, errors="replace") if query else "")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsApi]:
    folder = tmp_path_factory.mktemp("any")
    redis = RedisServer(folder / "redis")
    redis.start()
    now = time.time_ns() // 1000
    with MetricsApi(redis.url, folder / "data") as running:
        beat(running.redis, in_flight=1, accepted=40)
        running.send(
            make_event(
                started_at=now - number * 60_000_000, outcome=outcome, user=f"u{number}", error_message="'"
            )
            for number, outcome in enumerate(list(Outcome) * 5)
        )
        running.wait_for(5 * len(Outcome))
        yield running
    redis.stop()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        yield client


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(question=questions())
def test_every_answer_is_one_that_is_described(
    api: MetricsApi, client: httpx.Client, question: tuple[str, str]
) -> None:
    path, url = question
    answer = client.get(api.url + url)
    assert answer.status_code < 500, (url, answer.text)
    described = DESCRIPTION["paths"][path]["get"]["responses"]
    if len(url) < LONGEST_LINE and url.partition("?")[0].count("/") == path.count("/"):
        assert str(answer.status_code) in described, (url, answer.text)
        content = described[str(answer.status_code)]["content"]
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in content, (url, kind)
        jsonschema.validate(answer.json(), content[kind]["schema"] | {"components": COMPONENTS})


def test_a_wrong_shape_would_be_noticed() -> None:
    schema = DESCRIPTION["paths"]["/api/series"]["get"]["responses"]["200"]["content"]["application/json"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"no": "series"}, schema["schema"] | {"components": COMPONENTS})


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", DESCRIPTION["paths"])
def test_other_methods_are_refused(api: MetricsApi, client: httpx.Client, method: str, path: str) -> None:
    if method.lower() in DESCRIPTION["paths"][path]:
        return
    answer = client.request(method, api.url + path.replace("{", "").replace("}", ""), json={})
    assert answer.status_code == 405, answer.text
    assert method not in answer.headers["Allow"]


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
QUERIES: Final = st.sampled_from(
    [
        "{ requests(limit: 2) { items { model } } }",
        "query Q($f: Filter) { summary(filter: $f) { total { requests } } }",
        "query Q($r: String) { series(metrics: [requests], range: $r) { t0 } }",
        "mutation { x }",
        "subscription { x }",
        "{ __typename @skip(if: $f) }",
        "{",
    ]
)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(query=QUERIES | st.text(max_size=40), variables=JSON, name=JSON, more=JSON)
def test_whatever_is_posted_to_graphql_is_no_fault_of_the_server(
    api: MetricsApi, client: httpx.Client, query: str, variables: Any, name: Any, more: Any
) -> None:
    body = {"query": query, "variables": variables, "operationName": name, "more": more}
    for content in (body, {"query": query, "variables": {"f": variables, "r": name}}, more):
        data = json.dumps(content, ensure_ascii=True, allow_nan=True).encode()
        answer = client.post(f"{api.url}/graphql", content=data, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (data, answer.text)

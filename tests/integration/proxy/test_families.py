"""Every endpoint family, whole and streamed: the same bytes as without the proxy, and a true record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.support.families import CASES, STREAMS, Case
from tests.support.raw_http import Answer, IncompleteAnswerError, fetch
from tests.support.records import marker

from weir.events import RequestEvent

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

VARYING: Final = {
    *("journal", "sequence", "trace_id", "span_id"),
    *("request_id", "proxy_id", "started_at", "client_request_id", "queue_ms", "connect_ms", "duration_ms"),
    *("upstream_headers_ms", "proxy_overhead_ms", "request_bytes", "response_bytes"),
    *("time_to_first_token_ms", "time_to_first_answer_ms", "time_to_last_token_ms", "max_token_gap_ms"),
}
"""What differs between two requests of a kind, and is looked at apart."""

EACH: Final = pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.name}-{'stream' if case.stream else 'plain'}"
)
EACH_STREAM: Final = pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)


def expected(case: Case) -> dict[str, Any]:
    """Every field of the record that does not vary."""
    requested = None if case.method == "GET" else case.model
    if case.path.startswith("/v1/models/"):
        requested = case.path.rpartition("/")[2]
    empty: dict[str, Any] = dict.fromkeys(field.name for field in msgspec.structs.fields(RequestEvent))
    known = {
        "schema_version": 1,
        "tenant": "default",
        "provider": "openai",
        "upstream": "default",
        "variant": "production",
        "endpoint": case.endpoint,
        "outcome": "completed",
        "status_code": 200,
        "retries": 0,
        "usage_source": "missing",
        "stream": case.stream,
        "model_requested": requested,
        "upstream_request_id": case.upstream_request_id,
    }
    return {name: value for name, value in (empty | known | case.says).items() if name not in VARYING}


@EACH
async def test_the_record_is_right_in_every_field(proxy: Process, records: Records, case: Case) -> None:
    mark = marker()
    answer = await case.ask(proxy.url, mark)
    assert answer.status == 200, answer.body
    record = await records.of(mark)
    found = msgspec.structs.asdict(record)
    assert {name: value for name, value in found.items() if name not in VARYING} == expected(case)
    assert record.request_id == answer.request_id
    assert record.trace_id == record.request_id.replace("-", "")
    assert record.request_bytes == len(case.request()[1])
    assert record.response_bytes == len(answer.body)
    _assert_times(case, found)


def _assert_times(case: Case, record: dict[str, Any]) -> None:
    """Times are in their order, and those are there that the kind of answer has."""
    names = ["time_to_first_token_ms", "time_to_first_answer_ms", "time_to_last_token_ms"]
    order = ["upstream_headers_ms", *names, "duration_ms"]
    if case.stream is None:
        assert [record[name] for name in names] == [None] * 3, "nothing was inferred"
    elif not case.stream:
        assert record["time_to_first_token_ms"] is not None
        assert record["time_to_last_token_ms"] is None, "a plain answer has no pace"
        assert record["max_token_gap_ms"] is None
    else:
        assert all(record[name] is not None for name in names), record
    times = [record[name] for name in order if record[name] is not None]
    assert times == sorted(times), record
    for name in ("queue_ms", "connect_ms", "proxy_overhead_ms"):
        assert 0 <= record[name] <= record["duration_ms"]


@EACH
async def test_the_answer_is_the_same_through_the_proxy(fake: FakeLLM, proxy: Process, case: Case) -> None:
    direct, through = await case.ask(fake.url, marker()), await case.ask(proxy.url, marker())
    assert (through.status, through.body) == (direct.status, direct.body)
    assert _vendors(through) == _vendors(direct)


@EACH_STREAM
@pytest.mark.parametrize("manner", ["drip", "lump", "gzip"])
async def test_however_a_stream_comes_its_bytes_and_its_record_are_the_same(
    fake: FakeLLM, proxy: Process, records: Records, case: Case, manner: str
) -> None:
    model, mark = f"answer:{manner}", marker()
    asks = [("Accept-Encoding", "gzip")] if manner == "gzip" else []
    direct = await case.ask(fake.url, marker(), model, asks)
    through = await case.ask(proxy.url, mark, model, asks)
    if case.endpoint not in {"chat.completions", "completions"} or manner != "gzip":
        assert through.body == direct.body
    record = await records.of(mark)
    assert (record.outcome, record.usage_source) == ("completed", "reported")
    assert record.completion_tokens == case.says["completion_tokens"]
    assert record.content_chunks == case.says["content_chunks"]


@EACH_STREAM
@pytest.mark.parametrize("manner", ["ends-early", "no-done-but-closed"])
async def test_a_stream_without_its_terminal_event_is_truncated(
    fake: FakeLLM, proxy: Process, records: Records, case: Case, manner: str
) -> None:
    mark = marker()
    direct = await case.ask(fake.url, marker(), f"answer:{manner}")
    through = await case.ask(proxy.url, mark, f"answer:{manner}")
    assert through.body == direct.body, "nothing is added to what the upstream ended by itself"
    record = await records.of(mark)
    assert (record.outcome, record.error_type) == ("truncated", "stream_ended_early")


@EACH_STREAM
async def test_a_broken_stream_ends_with_an_error_event_of_its_family(
    proxy: Process, records: Records, case: Case
) -> None:
    mark = marker()
    try:
        body = (await case.ask(proxy.url, mark, "answer:reset")).body
    except IncompleteAnswerError as error:
        body = error.body
    code = "upstream_disconnected"
    if case.family == "anthropic":
        name, data = body.removesuffix(b"\n\n").rpartition(b"\n\n")[2].split(b"\n")
        assert name == b"event: error"
        said = json.loads(data.removeprefix(b"data: "))
        assert (said["type"], set(said["error"])) == ("error", {"type", "message"})
    elif case.family == "ollama":
        assert list(json.loads(body.splitlines()[-1])) == ["error"]
    elif case.endpoint in {"chat.completions", "completions"}:
        data = body.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
        assert json.loads(data.removeprefix(b"data: "))["error"]["code"] == code
    else:
        name, data = body.removesuffix(b"\n\n").rpartition(b"\n\n")[2].split(b"\n")
        said = json.loads(data.removeprefix(b"data: "))
        assert (name, said["type"], said["code"]) == (b"event: error", "error", code)
    record = await records.of(mark)
    assert (record.outcome, record.error_type) == ("truncated", code)


@EACH_STREAM
async def test_an_error_event_of_the_upstream_passes_and_is_recorded(
    fake: FakeLLM, proxy: Process, records: Records, case: Case
) -> None:
    mark = marker()
    direct = await case.ask(fake.url, marker(), "answer:error-event")
    assert (await case.ask(proxy.url, mark, "answer:error-event")).body == direct.body
    record = await records.of(mark)
    said = {
        "anthropic": ("overloaded_error", "Overloaded"),
        "ollama": ("stream_error", "The engine died."),
    }.get(case.family, ("server_error", "The engine died."))
    if case.endpoint in {"chat.completions", "completions"}:
        said = ("engine_dead", "The engine died.")
    assert (record.outcome, record.status_code) == ("upstream_error", 200)
    assert (record.error_type, record.error_message) == said


async def test_a_response_that_failed_is_an_error_of_the_upstream(proxy: Process, records: Records) -> None:
    (case,) = [case for case in STREAMS if case.endpoint == "responses"]
    mark = marker()
    await case.ask(proxy.url, mark, "answer:failed")
    record = await records.of(mark)
    assert (record.outcome, record.finish_reason) == ("upstream_error", "failed")
    assert (record.error_type, record.error_message) == ("server_error", "The engine died.")


WITH_BODY: Final = [case for case in CASES if case.method == "POST" and case.model == "answer"]


@pytest.mark.parametrize("case", WITH_BODY, ids=lambda case: case.name)
@pytest.mark.parametrize("manner", ["429", "503", "500-html"])
async def test_an_error_of_the_upstream_passes_as_it_is(
    fake: FakeLLM, proxy: Process, records: Records, case: Case, manner: str
) -> None:
    mark = marker()
    direct = await case.ask(fake.url, marker(), f"answer:{manner}")
    through = await case.ask(proxy.url, mark, f"answer:{manner}")
    assert (through.status, through.body) == (direct.status, direct.body)
    record = await records.of(mark)
    assert record.outcome == ("client_error" if manner == "429" else "upstream_error")
    assert record.status_code == direct.status
    if manner == "429":
        kind = {"anthropic": "rate_limit_error", "ollama": "http_429"}
        assert record.error_type == kind.get(case.family, "rate_limit_exceeded")
        assert record.error_message == "Rate limit reached for fake models."


@pytest.mark.parametrize("case", WITH_BODY, ids=lambda case: case.name)
async def test_an_error_of_ours_has_the_shape_of_its_family(
    proxy: Process, records: Records, case: Case
) -> None:
    mark = marker()
    answer = await case.ask(proxy.url, mark, "answer:garbage")
    assert answer.status == 502
    _assert_shape(case, answer, "upstream_bad_response", "api_error")
    record = await records.of(mark)
    assert (record.outcome, record.error_type) == ("upstream_error", "upstream_bad_response")


JSON_BODY: Final = [case for case in WITH_BODY if case.file is None]


@pytest.mark.parametrize("case", JSON_BODY, ids=lambda case: case.name)
@pytest.mark.parametrize("body", [b"{", b"[]", b"", b"\xff\xfe{}", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused_in_the_shape_of_its_family(
    proxy: Process, case: Case, body: bytes
) -> None:
    answer = await fetch(proxy.url, "POST", case.path, [("Content-Type", "application/json")], body)
    assert answer.status == 400, answer.body
    _assert_shape(case, answer, "invalid_json", "invalid_request_error")


def _assert_shape(case: Case, answer: Answer, code: str, anthropic_type: str) -> None:
    assert answer.header("content-type") == "application/json"
    document = answer.json()
    if case.family == "anthropic":
        assert (document["type"], set(document["error"])) == ("error", {"type", "message"})
        assert document["error"]["type"] == anthropic_type
    elif case.family == "ollama":
        assert list(document) == ["error"]
        assert isinstance(document["error"], str)
    else:
        assert answer.error["code"] == code


def _vendors(answer: Answer) -> list[tuple[str, str]]:
    """The headers but for those of one hop and ours."""
    left_out = {"connection", "transfer-encoding", "x-weir-request-id", "server-timing"}
    pairs = [(name.lower(), value) for name, value in answer.head.headers]
    return sorted((name, value) for name, value in pairs if name not in left_out)

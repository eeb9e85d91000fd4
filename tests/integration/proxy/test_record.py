"""Each field of the record, for each kind of answer: what it says is what happened."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from tests.support.fake_llm import SCRIPTS, Exchange, answered_model, script
from tests.support.fake_llm.exchange import JSON_HEADERS, STREAM_HEADERS
from tests.support.proxy import CHAT, MODELS, ask, completion
from tests.support.raw_http import Connection, fetch
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_plain_completion(proxy: Process, records: Records) -> None:
    mark = marker()
    before = time.time_ns() // 1000
    answer = await ask(proxy.url, "answer", mark)
    after = time.time_ns() // 1000
    record = await records.of(mark)

    assert record.request_id == answer.request_id
    assert record.schema_version == 1
    assert record.endpoint == "chat.completions"
    assert record.client_request_id == mark
    assert record.upstream_request_id == "req_upstream_1"
    assert record.proxy_id
    assert record.tenant == "default"
    assert record.api_key_id is None
    assert record.upstream
    assert (record.model_requested, record.model) == ("answer", answered_model("answer"))
    assert record.stream is False
    assert (record.outcome, record.status_code) == ("completed", 200)
    assert (record.error_type, record.error_message) == (None, None)
    assert record.finish_reason == "stop"
    assert record.retries == 0
    assert (record.prompt_tokens, record.completion_tokens, record.total_tokens) == (11, 7, 18)
    assert record.usage_source == "reported"
    assert record.response_bytes == len(answer.body)
    assert record.request_bytes == len(json.dumps(completion("answer", mark)))
    assert before <= record.started_at <= after
    assert record.duration_ms is not None
    assert 0 < record.duration_ms <= (after - before) / 1000
    assert record.upstream_headers_ms is not None
    assert record.upstream_headers_ms <= record.duration_ms


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", list(SCRIPTS))
async def test_usage_and_finish_reason_of_every_kind_of_answer(
    proxy: Process, records: Records, name: str, stream: bool
) -> None:
    mark = marker()
    await ask(proxy.url, name, mark, stream=stream)
    record, said = await records.of(mark), SCRIPTS[name]
    assert (record.outcome, record.stream) == ("completed", stream)
    assert record.finish_reason == said.finish_reason
    assert record.prompt_tokens == said.prompt_tokens
    assert record.completion_tokens == said.completion_tokens
    assert record.total_tokens == said.prompt_tokens + said.completion_tokens
    assert record.cache_read_tokens == said.cached_tokens
    assert record.cache_write_tokens is None, "unknown is not zero"
    assert record.reasoning_tokens == said.reasoning_tokens
    assert record.usage_source == "reported"


@pytest.mark.parametrize("model", ["answer:gzip", "answer:gzip-always"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_usage_is_read_from_compressed_answers(
    proxy: Process, records: Records, model: str, stream: bool
) -> None:
    mark = marker()
    await ask(proxy.url, model, mark, stream=stream, headers=[("Accept-Encoding", "gzip, deflate")])
    record = await records.of(mark)
    assert (record.completion_tokens, record.usage_source) == (7, "reported")
    assert record.model == answered_model(model)


async def test_a_stream_has_its_times_in_order(fake: FakeLLM, proxy: Process, records: Records) -> None:
    """Role at 0 ms, reasoning from 40 ms, words from 120 ms, each its own time: none equals the total."""

    async def paced(exchange: Exchange) -> None:
        exchange.pace = 0.04
        await exchange.head("200 OK", STREAM_HEADERS)
        for event in script.events(exchange.model, SCRIPTS["reasoning"], include_usage=True):
            await exchange.chunk(event)
            await exchange.pause()
        await exchange.chunk(script.DONE)
        await exchange.chunk(b"")

    fake.on("paced", paced)
    mark = marker()
    await ask(proxy.url, "paced", mark, stream=True)
    record = await records.of(mark)
    head, first = record.upstream_headers_ms, record.time_to_first_token_ms
    answer, last, total = record.time_to_first_answer_ms, record.time_to_last_token_ms, record.duration_ms
    assert head is not None
    assert first is not None
    assert answer is not None
    assert last is not None
    assert total is not None
    # An event taken for another one shifts a time by a whole pace; a busy machine by less than half of one.
    pace, late = 40, 20
    assert first - head >= pace - late, "the role chunk is not a token"
    assert answer - first >= 3 * pace - late, "the first answer comes after the reasoning"
    assert last - answer >= pace - late
    assert total - last >= 2 * pace - late, "finish reason and usage are not tokens"
    assert record.max_token_gap_ms is not None
    assert pace - late <= record.max_token_gap_ms <= total
    assert record.content_chunks == len(SCRIPTS["reasoning"].reasoning + SCRIPTS["reasoning"].words)


async def test_without_reasoning_the_first_token_is_an_answer(proxy: Process, records: Records) -> None:
    mark = marker()
    await ask(proxy.url, "answer", mark, stream=True)
    record = await records.of(mark)
    assert record.time_to_first_token_ms is not None
    assert record.time_to_first_answer_ms == record.time_to_first_token_ms


async def test_a_plain_answer_has_no_pace(fake: FakeLLM, proxy: Process, records: Records) -> None:
    """Its bytes say nothing of when its tokens were made: no speed may be computed from how they came."""

    async def in_two_pieces(exchange: Exchange) -> None:
        body = script.plain(exchange.model, exchange.script)
        await exchange.head(
            "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        )
        await exchange.write(body[:50])
        exchange.pace = 0.02
        await exchange.pause()
        await exchange.write(body[50:])

    fake.on("two-pieces", in_two_pieces)
    mark = marker()
    await ask(proxy.url, "two-pieces", mark)
    record = await records.of(mark)
    assert (record.outcome, record.completion_tokens) == ("completed", 7)
    assert record.time_to_last_token_ms in {None, record.time_to_first_token_ms}
    assert record.max_token_gap_ms is None


async def test_tool_calls_are_tokens_too(proxy: Process, records: Records) -> None:
    mark = marker()
    await ask(proxy.url, "tools", mark, stream=True)
    record = await records.of(mark)
    assert record.time_to_first_token_ms is not None
    assert record.time_to_last_token_ms is not None
    assert record.finish_reason == "tool_calls"


async def test_usage_that_is_not_reported_is_estimated_and_says_so(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    async def no_usage(exchange: Exchange) -> None:
        await exchange.head("200 OK", STREAM_HEADERS)
        for event in script.events(exchange.model, exchange.script, include_usage=False):
            await exchange.chunk(event)
        await exchange.chunk(script.DONE)
        await exchange.chunk(b"")

    fake.on("no-usage", no_usage)
    mark = marker()
    await ask(proxy.url, "no-usage", mark, stream=True)
    record = await records.of(mark)
    assert (record.prompt_tokens, record.total_tokens) == (None, None)
    assert record.completion_tokens == record.content_chunks == len(SCRIPTS["answer"].words)
    assert record.usage_source == "estimated"
    assert record.outcome == "completed"


async def test_who_asked(fake: FakeLLM, proxy: Process, records: Records) -> None:
    mark = marker()
    headers = [("x-weir-user", "ada"), ("X-Weir-Project", "apollo"), ("x-weir-team", "red")]
    await ask(proxy.url, "answer", mark, headers=headers, user="not-ada")
    record = await records.of(mark)
    assert (record.user, record.project, record.metadata) == ("ada", "apollo", {"team": "red"})


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ({"user": "grace"}, "grace"),
        ({"metadata": {"user_id": "edsger"}}, "edsger"),
        ({"user": "grace", "metadata": {"user_id": "edsger"}}, "grace"),
        ({"user": None}, None),
        ({"user": 7}, None),
        ({"metadata": "strange"}, None),
    ],
)
async def test_the_user_named_in_the_body(
    proxy: Process, records: Records, body: dict[str, Any], user: str | None
) -> None:
    mark = marker()
    answer = await ask(proxy.url, "answer", mark, **body)
    assert answer.status == 200
    assert (await records.of(mark)).user == user


async def test_the_request_id_is_ours_and_new_each_time(proxy: Process, records: Records) -> None:
    """UUIDv7: its first 48 bits are the time it was made. The caller's own id is never the key."""
    forged = "018f0000-0000-7000-8000-000000000000"
    body = json.dumps(completion("answer")).encode()
    headers = [("x-request-id", forged), ("x-weir-request-id", forged)]
    ids: set[str] = set()
    for _ in range(2):
        async with await Connection.open(proxy.url) as connection:
            await connection.request("POST", CHAT, headers, body)
            ids.add((await connection.answer()).request_id)
    assert len(ids) == 2
    assert forged not in ids
    for text in ids:
        assert str(UUID(text)) == text
        assert UUID(text).version == 7
        assert abs((UUID(text).int >> 80) - time.time() * 1000) < 60_000
    events = [await _by_request_id(records, text) for text in ids]
    assert {event.client_request_id for event in events} == {forged}


async def test_listing_models_is_recorded(proxy: Process, records: Records) -> None:
    mark = marker()
    answer = await fetch(proxy.url, "GET", MODELS, [("x-request-id", mark)])
    record = await records.of(mark)
    assert record.request_id == answer.request_id
    assert (record.endpoint, record.outcome, record.status_code) == ("models.list", "completed", 200)
    assert (record.model, record.stream, record.completion_tokens) == (None, None, None)
    assert record.time_to_first_token_ms is None


@pytest.mark.parametrize("stream", [False, True])
async def test_the_trace_a_caller_belongs_to_is_continued(
    fake: FakeLLM, proxy: Process, records: Records, stream: bool
) -> None:
    mark, trace = marker(), "4bf92f3577b34da6a3ce929d0e0e4736"
    caller = [("traceparent", f"00-{trace}-00f067aa0ba902b7-00"), ("tracestate", "a=1,b=2")]
    await ask(proxy.url, "answer", mark, headers=caller, stream=stream)
    record, received = await records.of(mark), await fake.request(mark)
    assert record.trace_id == trace
    assert received.header("traceparent") == f"00-{trace}-{record.span_id}-00"
    assert received.header("tracestate") == "a=1,b=2"


async def test_without_a_valid_trace_one_begins(fake: FakeLLM, proxy: Process, records: Records) -> None:
    """Each time the same head, so that records also take the way of heads that came before."""
    seen: set[str | None] = set()
    async with await Connection.open(proxy.url) as connection:
        for number in range(4):
            mark = marker()
            body = json.dumps(completion("answer", mark, user=mark)).encode()
            headers = [("traceparent", "00-nonsense"), ("tracestate", "a=1"), ("x-request-id", "the same")]
            await connection.request("POST", CHAT, headers, body)
            request_id = (await connection.answer()).request_id
            received = await fake.request(mark)
            record = await _by_request_id(records, request_id)
            assert record.trace_id == request_id.replace("-", "")
            assert received.header("traceparent") == f"00-{record.trace_id}-{record.span_id}-01"
            assert received.header("tracestate") is None
            seen |= {record.trace_id, record.span_id}
            assert len(seen) == 2 * (number + 1)


@pytest.mark.parametrize("model", ["answer", "answer:429"])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_tells_where_the_time_went(
    proxy: Process, records: Records, model: str, stream: bool
) -> None:
    mark = marker()
    answer = await ask(proxy.url, model, mark, stream=stream)
    timing = re.fullmatch(
        r"weir-queue;dur=0, weir-connect;dur=(\d+\.\d), weir-upstream;dur=(\d+\.\d)",
        answer.header("server-timing") or "",
    )
    record = await records.of(mark)
    assert timing
    assert record.connect_ms is not None
    assert record.upstream_headers_ms is not None
    assert float(timing[1]) == pytest.approx(record.connect_ms, abs=0.06)
    assert float(timing[2]) == pytest.approx(record.upstream_headers_ms, abs=0.06)


async def test_a_key_in_an_error_of_the_upstream_is_not_kept(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """OpenAI repeats a wrong key in its message; the client may see it, the record must not."""
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"

    async def repeats_the_key(exchange: Exchange) -> None:
        body = script.error(f"Incorrect API key provided: {key}.", "invalid_request_error", "invalid_api_key")
        await exchange.respond("401 Unauthorized", JSON_HEADERS, body)

    fake.on("wrong-key", repeats_the_key)
    mark = marker()
    answer = await ask(proxy.url, "wrong-key", mark, headers=[("Authorization", f"Bearer {key}")])
    assert key.encode() in answer.body
    record = await records.of(mark)
    assert (record.outcome, record.error_type) == ("client_error", "invalid_api_key")
    assert record.error_message
    assert key not in repr(record) + proxy.stderr


async def test_long_names_are_bounded(proxy: Process, records: Records) -> None:
    mark = marker()
    await ask(proxy.url, "answer", mark, user="u" * 5000, headers=[("x-weir-team", "t" * 5000)])
    record = await records.of(mark)
    assert record.user is not None
    assert len(record.user) <= 256
    assert all(len(value) <= 256 for value in (record.metadata or {}).values())


async def test_prompt_and_answer_are_not_in_the_record(proxy: Process, records: Records) -> None:
    secret, mark = "the eagle lands at noon", marker()
    await ask(proxy.url, "answer", mark, messages=[{"role": "user", "content": secret}], stream=True)
    record = await records.of(mark)
    text = repr(record) + proxy.stderr
    assert secret not in text
    assert "Grüße" not in text


async def _by_request_id(records: Records, request_id: str) -> Any:
    deadline = time.monotonic() + 5
    while not (found := [event for event in records.events if event.request_id == request_id]):
        assert time.monotonic() < deadline
        await records.read(wait=1)
    return found[0]

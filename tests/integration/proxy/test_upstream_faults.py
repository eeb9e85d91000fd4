"""Whatever the upstream does: the right answer in time, and one record with the right outcome."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Final

import pytest
from tests.support import sse
from tests.support.fake_llm import script
from tests.support.fake_llm.dead_ends import black_hole, refusing
from tests.support.fake_llm.manners import SENT_BEFORE_TROUBLE, refuse_early, well
from tests.support.proxy import CHAT, ask, completion
from tests.support.raw_http import Answer, IncompleteAnswerError, fetch
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fake_llm import Exchange, FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECT, FIRST_BYTE, IDLE, TOTAL = 0.3, 0.6, 0.6, 2.0
"""The upstream timeouts of this module, seconds."""
SLACK: Final = 20.0
"""How much later than its timeout an answer may come, seconds."""


@pytest.fixture(scope="module")
def proxy_settings(tmp_path_factory: pytest.TempPathFactory, fake: FakeLLM) -> Iterator[dict[str, str]]:
    with refusing() as refused, black_hole() as swallowed:
        upstreams = [
            {"name": "fake", "url": fake.url},
            {"name": "refusing", "url": refused, "models": ["refused"]},
            {"name": "black-hole", "url": swallowed, "models": ["swallowed"]},
            {"name": "nowhere", "url": "http://no-such-host.invalid", "models": ["nowhere"]},
        ]
        config = tmp_path_factory.mktemp("config") / "weir.yaml"
        config.write_text(json.dumps({"upstreams": upstreams}))
        yield {
            "WEIR_CONFIG": str(config),
            "WEIR_UPSTREAM_CONNECT_TIMEOUT": f"{CONNECT}s",
            "WEIR_UPSTREAM_FIRST_BYTE_TIMEOUT": f"{FIRST_BYTE}s",
            "WEIR_UPSTREAM_IDLE_TIMEOUT": f"{IDLE}s",
            "WEIR_UPSTREAM_TOTAL_TIMEOUT": f"{TOTAL}s",
        }


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("model", "status", "code", "outcome"),
    [
        ("refused", 502, "upstream_unreachable", "upstream_error"),
        ("nowhere", 502, "upstream_unreachable", "upstream_error"),
        ("swallowed", 504, "upstream_timeout", "timeout"),
        ("answer:silent", 504, "upstream_timeout", "timeout"),
        ("answer:reset-before-head", 502, "upstream_disconnected", "upstream_error"),
        ("answer:close-before-head", 502, "upstream_disconnected", "upstream_error"),
        ("answer:garbage", 502, "upstream_bad_response", "upstream_error"),
        ("answer:two-lengths", 502, "upstream_bad_response", "upstream_error"),
        ("answer:huge-header", 502, "upstream_bad_response", "upstream_error"),
        ("answer:endless-headers", 502, "upstream_bad_response", "upstream_error"),
    ],
)
async def test_trouble_before_the_head_is_an_answer_of_ours(
    proxy: Process, records: Records, model: str, status: int, code: str, outcome: str, stream: bool
) -> None:
    mark = marker()
    start = time.monotonic()
    answer = await ask(proxy.url, model, mark, stream=stream)
    took = time.monotonic() - start

    assert (answer.status, answer.error["type"], answer.error["code"]) == (status, "upstream_error", code)
    assert took < max(CONNECT, FIRST_BYTE) + SLACK
    assert "127.0.0.1" not in answer.error["message"], "where the upstream is, is not the client's affair"
    record = await records.of(mark)
    assert record.request_id == answer.request_id
    assert (record.outcome, record.status_code, record.error_type) == (outcome, status, code)
    assert record.error_message
    assert record.time_to_first_token_ms is None
    assert record.usage_source == "missing"


@pytest.mark.parametrize(
    ("manner", "status", "outcome"),
    [
        ("400", 400, "client_error"),
        ("429", 429, "client_error"),
        ("503", 503, "upstream_error"),
        ("500-html", 500, "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_errors_of_the_upstream_are_passed_on_and_recorded(
    proxy: Process, records: Records, manner: str, status: int, outcome: str, stream: bool
) -> None:
    """That their bytes are unchanged is shown in test_transparency."""
    mark = marker()
    answer = await ask(proxy.url, f"answer:{manner}", mark, stream=stream)
    assert answer.status == status
    if manner == "429":
        assert answer.header("retry-after") == "7"
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == (outcome, status)
    assert record.error_type
    assert record.finish_reason is None


async def test_what_the_upstream_says_of_its_error_is_in_the_record(proxy: Process, records: Records) -> None:
    mark = marker()
    await ask(proxy.url, "answer:429", mark)
    record = await records.of(mark)
    assert record.error_type == "rate_limit_exceeded"
    assert record.error_message == "Rate limit reached for fake models."


@pytest.mark.parametrize(
    ("manner", "outcome"),
    [
        ("stall", "timeout"),
        ("reset", "truncated"),
        ("fin", "truncated"),
        ("cut-inside-event", "truncated"),
        ("bad-chunk", "truncated"),
    ],
)
async def test_a_stream_that_breaks_ends_with_an_error_event(
    proxy: Process, records: Records, manner: str, outcome: str
) -> None:
    mark = marker()
    model = f"answer:{manner}"
    start = time.monotonic()
    head_status, body = await _all_that_comes(proxy, model, mark)
    took = time.monotonic() - start

    assert head_status == 200
    assert took < IDLE + SLACK
    sent = b"".join(script.events(model, script.SCRIPTS["answer"], include_usage=False)[:SENT_BEFORE_TROUBLE])
    assert body.startswith(sent), "what came before the trouble is the client's"
    events = sse.events(body)
    assert b"[DONE]" not in events, "a broken stream does not look like a whole one"
    error = json.loads(events[-1])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "upstream_error"
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == (outcome, 200)
    assert record.error_type == error["code"]
    assert record.content_chunks == SENT_BEFORE_TROUBLE - 1
    assert record.model == "answer:" + manner + "-2026-01-01"
    assert record.finish_reason is None
    assert record.usage_source == "estimated"


@pytest.mark.parametrize(
    ("manner", "outcome"),
    [
        ("stall", "timeout"),
        ("reset", "truncated"),
        ("fin", "truncated"),
        ("bad-chunk", "truncated"),
        ("short-body", "truncated"),
    ],
)
async def test_a_plain_answer_that_breaks_does_not_look_whole(
    proxy: Process, records: Records, manner: str, outcome: str
) -> None:
    """Its head may have gone out already; then only the broken framing can tell the client."""
    mark = marker()
    start = time.monotonic()
    try:
        answer = await ask(proxy.url, f"answer:{manner}", mark)
    except IncompleteAnswerError:
        answer = None
    assert time.monotonic() - start < IDLE + SLACK
    record = await records.of(mark)
    assert record.outcome == outcome
    if answer is None:
        assert record.status_code == 200
    else:
        assert answer.error["type"] == "upstream_error"
        assert record.status_code == answer.status
    assert record.error_type


async def test_a_stream_that_ends_early_but_properly_is_left_as_it_is(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """Its framing is whole, so nothing is put into it; but without a finish reason it is no whole answer."""
    mark = marker()
    direct = await ask(fake.url, "answer:ends-early", marker(), stream=True)
    answer = await ask(proxy.url, "answer:ends-early", mark, stream=True)
    assert answer.body == direct.body
    assert (await records.of(mark)).outcome == "truncated"


async def test_a_stream_without_done_is_truncated_even_when_it_said_why_it_ended(
    proxy: Process, records: Records
) -> None:
    """`[DONE]` is the terminal event of the dialect; the client gets what came all the same."""
    mark = marker()
    answer = await ask(proxy.url, "answer:no-done-but-closed", mark, stream=True)
    record = await records.of(mark)
    assert sse.objects(answer.body)[-1]["choices"][0]["finish_reason"] == "stop"
    assert (record.outcome, record.finish_reason, record.completion_tokens) == ("truncated", "stop", 7)


async def test_a_stream_cut_after_its_last_word_is_truncated(proxy: Process, records: Records) -> None:
    mark = marker()
    _, body = await _all_that_comes(proxy, "answer:no-done", mark)
    assert b"[DONE]" not in sse.events(body)
    assert (await records.of(mark)).outcome == "truncated"


async def test_an_error_event_of_the_upstream_is_passed_on_and_is_no_success(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    mark = marker()
    direct = await ask(fake.url, "answer:error-event", marker(), stream=True)
    answer = await ask(proxy.url, "answer:error-event", mark, stream=True)
    assert answer.body == direct.body
    record = await records.of(mark)
    assert record.outcome in {"truncated", "upstream_error"}
    assert (record.error_type, record.error_message) == ("engine_dead", "The engine died.")


async def test_an_answer_that_comes_before_the_request_was_sent_is_passed_on(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    mark = marker()
    fake.before_body[f"{CHAT}?early"] = refuse_early
    body = json.dumps(completion("answer", mark, padding="p" * 8_000_000)).encode()
    answer = await fetch(proxy.url, "POST", f"{CHAT}?early", [("x-request-id", mark)], body)
    assert (answer.status, answer.error["code"]) == (413, "context_length_exceeded")
    record = await records.of(mark)
    assert (record.outcome, record.error_type) == ("client_error", "context_length_exceeded")


async def test_bytes_after_an_answer_never_reach_a_client(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """A second answer that nobody asked for: its connection is dropped, the next request gets its own."""
    mark = marker()
    first = await ask(proxy.url, "answer:long-body", mark)
    assert b"poison" not in first.body
    for _ in range(3):
        answer = await ask(proxy.url, "answer", marker())
        assert answer.status == 200
        assert b"poison" not in answer.body
    assert (await records.of(mark)).outcome in {"completed", "upstream_error"}


async def test_an_upstream_that_drips_for_ever_meets_the_total_timeout(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """Each gap is shorter than the idle timeout, so only the total one ends it."""

    async def endless(exchange: Exchange) -> None:
        exchange.pace = 0.1
        await exchange.head(
            "200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        )
        event = script.events("endless", script.SCRIPTS["short"], include_usage=True)[1]
        while True:  # ends by SenderLeftError
            await exchange.chunk(event)
            await exchange.pause()

    fake.on("endless", endless)
    mark = marker()
    start = time.monotonic()
    _, body = await _all_that_comes(proxy, "endless", mark)
    assert TOTAL <= time.monotonic() - start < TOTAL + SLACK
    assert json.loads(sse.events(body)[-1])["error"]["code"] == "upstream_timeout"
    assert (await records.of(mark)).outcome == "timeout"
    assert (await fake.request(mark)).left.is_set()


@pytest.mark.parametrize("manner", ["silent", "stall"])
async def test_a_timed_out_upstream_is_let_go(fake: FakeLLM, proxy: Process, manner: str) -> None:
    mark = marker()
    await _all_that_comes(proxy, f"answer:{manner}", mark)
    await _left_within(fake, mark, 1.0)


async def test_a_connection_closed_in_the_moment_of_its_reuse_costs_the_client_nothing(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """The upstream closes an idle connection just as the next request is sent on it: sent again, once."""
    used: set[int] = set()

    async def only_once_a_connection(exchange: Exchange) -> None:
        if exchange.received.connection in used:
            exchange.finish()
            return
        used.add(exchange.received.connection)
        await well(exchange)

    fake.on("once", only_once_a_connection)
    marks = [marker() for _ in range(6)]
    for mark in marks:
        assert (await ask(proxy.url, "once", mark)).status == 200
    for record in await records.of_all(marks):
        assert record.outcome == "completed"


async def test_a_request_that_was_swallowed_is_not_sent_again_and_again(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """The race of a reused connection excuses one more try; on a fresh one it may have been carried out."""
    mark = marker()
    await ask(proxy.url, "answer:close-before-head", mark)
    record = await records.of(mark)
    assert len(fake.requests(mark)) == 1 + record.retries
    assert record.retries <= 1


async def test_the_proxy_is_whole_after_all_this(proxy: Process, records: Records) -> None:
    mark = marker()
    assert (await ask(proxy.url, "answer", mark)).status == 200
    assert (await records.of(mark)).outcome == "completed"
    assert '"level": "error"' not in proxy.stderr


async def _all_that_comes(proxy: Process, model: str, mark: str) -> tuple[int, bytes]:
    """Status and body of a streamed answer, whether it ends well or not."""
    try:
        answer: Answer = await ask(proxy.url, model, mark, stream=True)
    except IncompleteAnswerError as error:
        return 200, error.body
    return answer.status, answer.body


async def _left_within(fake: FakeLLM, mark: str, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await (await fake.request(mark)).left.wait()

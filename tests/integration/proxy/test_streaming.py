"""Streams flow on at once; the usage we ask for in the client's stead stays between us and the upstream."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support import sse
from tests.support.fake_llm import SCRIPTS, Exchange, script
from tests.support.fake_llm.exchange import STREAM_HEADERS
from tests.support.proxy import CHAT, ask, completion
from tests.support.raw_http import Connection, post_json
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON: Final = ("Content-Type", "application/json")


@pytest.mark.parametrize("include_usage", [False, True], ids=["without-usage", "with-usage"])
async def test_each_event_arrives_before_the_next_one_is_sent(
    fake: FakeLLM, proxy: Process, include_usage: bool
) -> None:
    may_send = asyncio.Semaphore(0)
    answer = SCRIPTS["reasoning"]

    async def one_by_one(exchange: Exchange) -> None:
        await exchange.head("200 OK", STREAM_HEADERS)
        events = script.events(exchange.model, answer, include_usage=exchange.include_usage)
        for event in [*events, script.DONE, b""]:
            await may_send.acquire()
            await exchange.chunk(event)

    fake.on("gated", one_by_one)
    body = completion("gated", stream=True)
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    expected = [*script.events("gated", answer, include_usage=include_usage), script.DONE]

    async with await Connection.open(proxy.url) as connection:
        await connection.request("POST", CHAT, [JSON], json.dumps(body).encode())
        head = await connection.head()  # before the first event was sent
        assert head.status == 200
        parts = connection.parts(head)
        arrived = b""
        async with asyncio.timeout(30):
            for number, event in enumerate(expected):
                if event == script.DONE and not include_usage:
                    may_send.release()  # the upstream's usage event, which only the proxy sees
                may_send.release()
                wanted = b"".join(expected[: number + 1])
                while len(arrived) < len(wanted):
                    arrived += await anext(parts)
                assert arrived == wanted
            may_send.release()
            assert [part async for part in parts] == []


async def test_usage_is_asked_for_and_taken_out_again(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    mark = marker()
    direct = await ask(fake.url, "answer", marker(), stream=True)
    through = await ask(proxy.url, "answer", mark, stream=True)

    assert through.body == direct.body
    assert b"usage" not in through.body
    assert (await fake.request(mark)).json()["stream_options"] == {"include_usage": True}
    record = await records.of(mark)
    assert (record.prompt_tokens, record.completion_tokens, record.total_tokens) == (11, 7, 18)
    assert record.usage_source == "reported"


async def test_usage_the_client_asked_for_stays(fake: FakeLLM, proxy: Process) -> None:
    answer = await ask(proxy.url, "answer", marker(), stream=True, stream_options={"include_usage": True})
    chunks = sse.objects(answer.body)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 18
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert sse.events(answer.body)[-1] == b"[DONE]"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"answer","stream":true}',
        b'{"stream":true,"model":"answer","messages":[]}',
        b'\n{ "model" : "answer" , "stream" : true }\n',
        b'{"model":"answer","stream":true,"messages":[{"role":"user","content":"\\"stream_options\\":{}"}]}',
        b'{"model":"answer","stream":true,"x":{"stream_options":{"include_usage":false}}}',
        b'{"model":"answer","stream":true,"stream_options":null}',
        b'{"model":"answer","stream":true,"stream_options":{}}',
        b'{"model":"answer","stream_options":{ "include_usage" : false },"stream":true}',
        b'{"model":"answer","stream_options":{"include_obfuscation":false},"stream":true}',
    ],
)
async def test_only_include_usage_is_added_to_the_body(fake: FakeLLM, proxy: Process, body: bytes) -> None:
    direct = await post_json(fake.url, CHAT, body)
    seen = len(fake.received)
    through = await post_json(proxy.url, CHAT, body)

    (request,) = fake.received[seen:]
    asked: dict[str, Any] = json.loads(body)
    options: dict[str, Any] = {**(asked.get("stream_options") or {}), "include_usage": True}
    assert json.loads(request.body) == {**asked, "stream_options": options}
    assert through.body == direct.body


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"answer","stream_\\u006fptions":{"include_usage":false},"stream":true}',
        b'{"model":"answer","stream_options":{},"stream":true,"stream_options":{"include_usage":false}}',
        b'{"model":"answer","stream":true,"x":[{"stream_options":1},{"stream_options":2}]}',
        b'{"model":"answer","stream":true,"stream_options":7}',
    ],
    ids=["escaped", "twice", "nested-twice", "number"],
)
async def test_where_it_cannot_be_added_the_answer_is_the_same_all_the_same(
    fake: FakeLLM, proxy: Process, body: bytes
) -> None:
    direct = await post_json(fake.url, CHAT, body)
    through = await post_json(proxy.url, CHAT, body)
    assert (through.status, through.body) == (direct.status, direct.body)


async def test_a_plain_request_is_not_touched(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    body = json.dumps(completion("answer", mark, stream=False)).encode()
    await post_json(proxy.url, CHAT, body)
    assert (await fake.request(mark)).body == body


async def test_a_usage_event_with_words_in_it_is_not_taken_out(fake: FakeLLM, proxy: Process) -> None:
    """Some servers put the usage into the last chunk that has a choice: that chunk belongs to the client."""
    last = b'{"id":"c","choices":[{"index":0,"delta":{"content":"bye"},"finish_reason":"stop"}],"usage":'
    last += b'{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'

    async def with_usage_in_the_last_chunk(exchange: Exchange) -> None:
        await exchange.head("200 OK", STREAM_HEADERS)
        await exchange.chunk(b"data: " + last + b"\n\n" + script.DONE)
        await exchange.chunk(b"")

    fake.on("usage-in-last-chunk", with_usage_in_the_last_chunk)
    answer = await ask(proxy.url, "usage-in-last-chunk", marker(), stream=True)
    (chunk,) = sse.objects(answer.body)
    assert chunk["choices"] == json.loads(last)["choices"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 16, 64, 333])
async def test_any_split_of_the_bytes_is_read_right(
    fake: FakeLLM, proxy: Process, records: Records, size: int
) -> None:
    """Chunks of `size` bytes, each written on its own: no parser may depend on where they are cut."""

    async def split(exchange: Exchange) -> None:
        await exchange.head("200 OK", STREAM_HEADERS)
        events = script.events(exchange.model, SCRIPTS["answer"], include_usage=exchange.include_usage)
        stream = b"".join([*events, script.DONE]).replace(b"\n", b"\r\n" if size % 2 else b"\n")
        for start in range(0, len(stream), size):
            await exchange.chunk(stream[start : start + size])
            await asyncio.sleep(0)
        await exchange.chunk(b"")

    fake.on("split", split)
    mark = marker()
    direct = await ask(fake.url, "split", marker(), stream=True)
    through = await ask(proxy.url, "split", mark, stream=True)
    assert through.body == direct.body
    record = await records.of(mark)
    assert (record.outcome, record.completion_tokens, record.finish_reason) == ("completed", 7, "stop")
    assert record.content_chunks == len(SCRIPTS["answer"].words)


async def test_a_slow_reader_slows_the_upstream_and_not_the_memory(
    fake: FakeLLM, proxy: Process, records: Records
) -> None:
    """An upstream with 512 MB to say is held back by a client that reads nothing, until it leaves."""
    written = 0

    async def flood(exchange: Exchange) -> None:
        nonlocal written
        await exchange.head("200 OK", STREAM_HEADERS)
        for _ in range(8192):
            await exchange.chunk(b"data: " + b"f" * 65536 + b"\n\n")
            written += 65536

    fake.on("flood", flood)
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        body = json.dumps(completion("flood", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [JSON, ("x-request-id", mark)], body)
        connection.stop_reading()
        before = -1
        async with asyncio.timeout(20):
            while written != before:  # until it stands still
                before = written
                await asyncio.sleep(0.25)
        assert 0 < written < 64_000_000
        connection.reset()
    async with asyncio.timeout(30):
        await (await fake.request(mark)).left.wait()
    assert (await records.of(mark)).outcome == "cancelled"

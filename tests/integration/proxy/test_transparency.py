"""The client cannot tell that Weir is there: bodies and headers are those of the upstream, both ways."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support.proxy import CHAT, MODELS, ask, completion
from tests.support.raw_http import Answer, Connection, fetch, post_json
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAIN: Final[dict[str, Any]] = {}
STREAM: Final = {"stream": True}
STREAM_WITH_USAGE: Final = {"stream": True, "stream_options": {"include_usage": True}}

OF_ONE_HOP: Final = {"connection", "keep-alive", "transfer-encoding"}
OURS: Final = ("x-weir-", "server-timing")
WITHHELD: Final = {"set-cookie", "server", "alt-svc", "strict-transport-security"}


def meaningful(answer: Answer) -> list[tuple[str, str]]:
    """The headers that a client acts on, in a fixed order."""
    pairs = [(name.lower(), value) for name, value in answer.head.headers]
    left_out = OF_ONE_HOP | WITHHELD
    return sorted((n, v) for n, v in pairs if n not in left_out and not n.startswith(OURS))


@pytest.mark.parametrize("options", [PLAIN, STREAM, STREAM_WITH_USAGE], ids=["plain", "stream", "with-usage"])
@pytest.mark.parametrize(
    "model",
    [
        *("answer", "short", "long", "tools", "reasoning", "cached"),
        *("answer:drip", "answer:lump", "answer:crlf", "answer:interim"),
        *("answer:400", "answer:429", "answer:503", "answer:500-html", "answer:error-event", "answer:204"),
    ],
)
async def test_an_answer_is_the_same_through_the_proxy(
    fake: FakeLLM, proxy: Process, model: str, options: dict[str, Any]
) -> None:
    direct = await ask(fake.url, model, marker(), **options)
    through = await ask(proxy.url, model, marker(), **options)
    assert through.status == direct.status
    assert through.head.reason == direct.head.reason
    assert through.body == direct.body
    assert meaningful(through) == meaningful(direct)


@pytest.mark.parametrize("model", ["answer:http10", "answer:say-close", "answer:close-after"])
async def test_the_upstreams_way_of_ending_is_not_passed_on(
    fake: FakeLLM, proxy: Process, model: str
) -> None:
    direct = await ask(fake.url, model, marker())
    async with await Connection.open(proxy.url) as connection:
        for _ in range(2):  # the client's connection outlives the upstream's
            await connection.request(
                "POST", CHAT, [("Content-Type", "application/json")], json.dumps(completion(model)).encode()
            )
            assert (await connection.answer()).body == direct.body


async def test_a_compressed_answer_stays_as_it_is(fake: FakeLLM, proxy: Process) -> None:
    asks_gzip = [("Accept-Encoding", "gzip")]
    direct = await ask(fake.url, "answer:gzip", marker(), headers=asks_gzip)
    through = await ask(proxy.url, "answer:gzip", marker(), headers=asks_gzip)
    assert through.header("content-encoding") == "gzip"
    assert through.body == direct.body
    assert meaningful(through) == meaningful(direct)


@pytest.mark.parametrize("options", [STREAM, STREAM_WITH_USAGE], ids=["stream", "with-usage"])
@pytest.mark.parametrize("model", ["answer:gzip", "answer:gzip-always"])
async def test_a_compressed_stream_holds_the_same_events(
    fake: FakeLLM, proxy: Process, model: str, options: dict[str, Any]
) -> None:
    asks_gzip = [("Accept-Encoding", "gzip")]
    direct = await ask(fake.url, model, marker(), headers=asks_gzip, **options)
    through = await ask(proxy.url, model, marker(), headers=asks_gzip, **options)
    compressed = through.header("content-encoding") == "gzip"
    assert (gzip.decompress(through.body) if compressed else through.body) == gzip.decompress(direct.body)


async def test_models_are_listed_as_the_upstream_lists_them(fake: FakeLLM, proxy: Process) -> None:
    direct = await fetch(fake.url, "GET", MODELS)
    through = await fetch(proxy.url, "GET", MODELS)
    assert (through.status, through.body) == (direct.status, direct.body)
    assert meaningful(through) == meaningful(direct)


async def test_headers_of_the_providers_site_and_of_one_hop_stay_behind(
    fake: FakeLLM, proxy: Process
) -> None:
    answer = await ask(proxy.url, "answer:cookies", marker())
    names = {name.lower() for name, _ in answer.head.headers}
    assert answer.header("x-custom-thing") == "stays; q=1"
    assert not names & {"set-cookie", "alt-svc", "strict-transport-security", "x-this-hop"}
    assert not names & {"access-control-allow-origin"}
    assert answer.header("server") != "fake/1.0"
    assert answer.request_id != "forged"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"answer","messages":[]}',
        b' {\r\n "messages" : [ {"content":"\\ud83c\\udf0a \\u00e9 \xc3\xa9"} ], "model": "answer" }\n',
        b'{"model":"answer","temperature":1e-400,"seed":12345678901234567890123,"x":{"model":"not me"}}',
        b'{"\\u006dodel":"answer","messages":[],"stream":false}',
        b'{"model":"answer","stream":true,"stream_options":{"include_usage":true},"messages":[]}',
    ],
    ids=["compact", "spaced", "numbers", "escaped-key", "asked-for-usage"],
)
async def test_the_upstream_gets_the_body_to_the_byte(fake: FakeLLM, proxy: Process, body: bytes) -> None:
    seen = len(fake.received)
    answer = await post_json(proxy.url, CHAT, body)
    assert answer.status == 200
    assert [request.body for request in fake.received[seen:]] == [body]


async def test_the_upstream_gets_the_clients_headers_and_query(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    sent = [
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer sk-client"),
        ("User-Agent", "OpenAI/Python 3.52.0"),
        ("OpenAI-Organization", "org-1"),
        ("X-Stainless-Lang", "python"),
        ("Accept", "application/json, */*;q=0.1"),
        ("x-request-id", mark),
    ]
    kept_back = [
        ("Cookie", "session=secret"),
        ("HTTP2-Settings", "AAMAAABk"),
        ("Connection", "keep-alive, X-This-Hop"),
        ("X-This-Hop", "only"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic c2VjcmV0"),
        ("X-Weir-User", "ada"),
        ("X-Weir-Project", "apollo"),
        ("X-Weir-Team", "red"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
    ]
    body = json.dumps(completion("answer")).encode()
    answer = await fetch(proxy.url, "POST", f"{CHAT}?api-version=1&x=%20%2F", [*sent, *kept_back], body)
    assert answer.status == 200
    request = await fake.request(mark)
    assert request.target == f"{CHAT}?api-version=1&x=%20%2F"
    for name, value in sent:
        assert request.header(name) == value
    for name in ("cookie", "http2-settings", "x-this-hop", "te", "proxy-authorization"):
        assert request.header(name) is None
    assert not [name for name, _ in request.headers if name.lower().startswith("x-weir-")]
    assert b"6.6.6.6" not in request.head, "a client cannot forge where it comes from"
    assert request.header("host") == fake.url.removeprefix("http://")


async def test_a_chunked_request_body_arrives_whole(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    body = json.dumps(completion("answer", mark)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\n"
    async with await Connection.open(proxy.url) as connection:
        await connection.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, len(body), 7):
            piece = body[start : start + 7]
            await connection.send(f"{len(piece):X};ext=1\r\n".encode() + piece + b"\r\n")
        await connection.send(b"0\r\nx-trailer: ignored\r\n\r\n")
        assert (await connection.answer()).status == 200
    assert (await fake.request(mark)).body == body


async def test_a_body_that_comes_byte_by_byte_arrives_whole(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    body = json.dumps(completion("answer", mark)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: weir\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with await Connection.open(proxy.url) as connection:
        for byte in head + body:
            await connection.send(bytes([byte]))
        assert (await connection.answer()).status == 200
    assert (await fake.request(mark)).body == body


async def test_a_large_body_arrives_whole(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    body = json.dumps(completion("answer", mark, padding="p" * 8_000_000)).encode()
    assert (await post_json(proxy.url, CHAT, body)).status == 200
    assert (await fake.request(mark)).body == body


async def test_a_client_that_expects_100_continue_is_told_to_go_on(fake: FakeLLM, proxy: Process) -> None:
    body = json.dumps(completion("answer")).encode()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: weir\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    async with await Connection.open(proxy.url) as connection:
        await connection.send(head.encode())
        assert (await connection.head()).status == 100
        await connection.send(body)
        assert (await connection.answer()).status == 200


async def test_pipelined_requests_are_answered_in_order(fake: FakeLLM, proxy: Process) -> None:
    models = ["answer", "tools", "reasoning", "long", "short"] * 4
    async with await Connection.open(proxy.url) as connection:
        for model in models:
            body = json.dumps(completion(model, stream=model == "long")).encode()
            await connection.request("POST", CHAT, [("Content-Type", "application/json")], body)
        answers = [await connection.answer() for _ in models]
    for model, answer in zip(models, answers, strict=True):
        assert answer.status == 200
        assert f'"{model}-2026-01-01"'.encode() in answer.body
    assert len({answer.request_id for answer in answers}) == len(models)

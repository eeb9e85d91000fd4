"""The client cannot tell that Weir is there: bodies and headers are those of the upstream, both ways."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support.fake_llm import answered_model
from tests.support.families import BOUNDARY, form
from tests.support.proxy import CHAT, MODELS, ask, completion
from tests.support.raw_http import Answer, Connection, IncompleteAnswerError, fetch, post_json
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import Exchange, FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON: Final = ("Content-Type", "application/json")
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
        ("TE", "gzip"),
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
        await connection.send(b"0\r\nX-Checksum: 1a\r\nAuthorization: Bearer x\r\nx-weir-user: a\r\n\r\n")
        assert (await connection.answer()).status == 200
    request = await fake.request(mark)
    assert (request.body, request.trailers) == (body, ["X-Checksum: 1a"])


async def test_a_file_that_is_sent_on_as_it_comes_keeps_its_trailers(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    body = form({"model": "answer", "note": mark}, b"sound")
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: weir\r\nContent-Type: {kind}\r\n"
    head += "Trailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with await Connection.open(proxy.url) as connection:
        await connection.send(head.encode() + b"%x\r\n%b\r\n" % (len(body), body))
        await connection.send(b"0\r\nX-Check")
        await connection.send(b"sum: 1a\r\nETag: a\r\nCookie: a\r\n\r")
        await connection.send(b"\n")
        assert (await connection.answer()).status == 200
    request = await fake.request(mark)
    assert (request.body, request.trailers) == (body, ["X-Checksum: 1a", "ETag: a"])
    assert request.header("trailer") == "X-Checksum"


async def trailing(exchange: Exchange) -> None:
    """A whole answer in chunks, and trailers of which not all may be passed on."""
    kind = exchange.reply.stream_type if exchange.stream else "application/json"
    headers = [("Content-Type", kind), ("Transfer-Encoding", "chunked"), ("Trailer", "X-Checksum")]
    await exchange.head("200 OK", headers)
    parts = [*exchange.reply.events, exchange.reply.end] if exchange.stream else [exchange.reply.plain]
    for part in parts:
        await exchange.chunk(part)
    trailers = b"X-Checksum: 1a\r\nSet-Cookie: a=b\r\nContent-Digest: d\r\nx-weir-a: b\r\n"
    await exchange.write(b"0\r\n" + trailers + b"\r\n")


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (PLAIN, ["X-Checksum: 1a", "Content-Digest: d"]),
        (STREAM_WITH_USAGE, ["X-Checksum: 1a", "Content-Digest: d"]),
        (STREAM, ["X-Checksum: 1a"]),
    ],
    ids=["plain", "with-usage", "altered-stream"],
)
async def test_trailers_of_an_answer_survive(
    fake: FakeLLM, proxy: Process, records: Records, options: dict[str, Any], kept: list[str]
) -> None:
    """A digest does not where the body is another one: our usage chunk was taken out of it."""
    fake.on("trailing", trailing)
    direct = await ask(fake.url, "trailing", marker(), **options)
    async with await Connection.open(proxy.url) as connection:
        for trailers in (kept, kept):
            mark = marker()
            body = json.dumps(completion("trailing", mark, **options)).encode()
            headers = [("TE", "trailers"), ("Connection", "TE"), ("x-request-id", mark)]
            await connection.request("POST", CHAT, headers, body)
            answer = await connection.answer()
            assert (answer.body, connection.trailers) == (direct.body, trailers)
            assert answer.header("trailer") == "X-Checksum"
            assert (await records.of(mark)).outcome == "completed"
            assert (await fake.request(mark)).header("te") == "trailers"
        await connection.request("POST", CHAT, [], json.dumps(completion("answer", stream=True)).encode())
        await connection.answer()
        assert connection.trailers == []


async def test_a_client_of_http_1_0_gets_no_trailers(fake: FakeLLM, proxy: Process) -> None:
    fake.on("trailing", trailing)
    body = json.dumps(completion("trailing")).encode()
    head = f"POST {CHAT} HTTP/1.0\r\nHost: weir\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with await Connection.open(proxy.url) as connection:
        await connection.send(head + body)
        answer = await connection.answer()
    assert answer.header("trailer") is None
    assert answer.json()["model"] == answered_model("trailing")


async def test_endless_trailers_end_the_answer(fake: FakeLLM, proxy: Process, records: Records) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head("200 OK", [JSON, ("Transfer-Encoding", "chunked")])
        await exchange.chunk(exchange.reply.plain)
        await exchange.write(b"0\r\n")
        while True:  # ends by SenderLeftError
            await exchange.write(b"x-more: " + b"m" * 1000 + b"\r\n")

    fake.on("endless-trailers", endless)
    mark = marker()
    with pytest.raises(IncompleteAnswerError):
        await ask(proxy.url, "endless-trailers", mark)
    record = await records.of(mark)
    assert (record.outcome, record.error_type) == ("truncated", "upstream_bad_response")


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

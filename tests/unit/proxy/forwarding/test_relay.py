"""The answer's way down: framing for every client, honest ends, and nothing twice."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.proxy_in_memory import ClientEnd, InMemoryProxy, turns
from tests.support.transport import in_pieces

from weir.events import Outcome
from weir.proxy.providers.openai import ChatStreamReader

EVENT = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = EVENT + EVENT + USAGE + DONE


async def ask(
    proxy: InMemoryProxy, *, stream: bool = True, version: str = "1.1", more: str = ""
) -> ClientEnd:
    client = proxy.client()
    body = b'{"model":"m","stream":true}' if stream else b'{"model":"m"}'
    head = f"POST /v1/chat/completions HTTP/{version}\r\nHost: x\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    await client.say(head.encode() + body)
    return client


def chunked(data: bytes, size: int = 10) -> bytes:
    pieces = in_pieces(data, range(0, len(data), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def head(*lines: str, status: str = "200 OK", content_type: str = "text/event-stream") -> bytes:
    described = "".join(f"{line}\r\n" for line in (f"Content-Type: {content_type}", *lines))
    return f"HTTP/1.1 {status}\r\n{described}\r\n".encode()


def split_answer(answer: bytes) -> tuple[bytes, bytes]:
    """Head and body as a client reads them."""
    answered, _, rest = answer.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" not in answered:
        return answered, rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n"
        body, rest = body + rest[:length], rest[length + 2 :]
        if length == 0:
            assert rest == b"", "bytes after the last chunk"
    return answered, body


class TestFraming:
    @given(ends=st.lists(st.integers(0, 500), max_size=12), size=st.integers(1, 60))
    @pytest.mark.parametrize("framing", ["chunked", "length", "close"])
    def test_any_split_gives_the_same_answer_and_record(
        self, tmp_path_factory: pytest.TempPathFactory, framing: str, ends: list[int], size: int
    ) -> None:
        async def scenario() -> None:
            proxy = InMemoryProxy(tmp_path_factory.mktemp("proxy"))
            client = await ask(proxy)
            if framing == "chunked":
                answer = head("Transfer-Encoding: chunked") + chunked(STREAM, size)
            elif framing == "length":
                answer = head(f"Content-Length: {len(STREAM)}") + STREAM
            else:
                answer = head() + STREAM
            for piece in in_pieces(answer, ends):
                proxy.upstream.say(piece)
            if framing == "close":
                proxy.upstream.lose()
            _, body = split_answer(client.take())
            assert body == EVENT + EVENT + DONE
            record = proxy.record()
            assert (record.outcome, record.prompt_tokens, record.content_chunks, record.response_bytes) == (
                *(Outcome.COMPLETED, 3, 2),
                len(body),
            )
            await proxy.close()

        asyncio.run(scenario())

    async def test_a_client_of_the_old_version_gets_no_chunks(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy, version="1.0", more="Connection: keep-alive\r\n")
        proxy.upstream.say(head("Transfer-Encoding: chunked") + chunked(STREAM))
        answered, body = split_answer(client.take())
        assert b"Transfer-Encoding" not in answered
        assert b"Connection: close" in answered
        assert body == EVENT + EVENT + DONE
        assert client.transport.closed

    async def test_and_keeps_its_connection_where_the_length_is_known(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy, stream=False, version="1.0", more="Connection: keep-alive\r\n")
        proxy.upstream.say(head("Content-Length: 2", content_type="application/json") + b"{}")
        assert b"Connection: keep-alive" in client.take()
        assert not client.transport.closed
        assert proxy.record().outcome is Outcome.COMPLETED

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    async def test_an_answer_without_a_body(self, proxy: InMemoryProxy, status: str) -> None:
        client = await ask(proxy, stream=False)
        proxy.upstream.say(head("ETag: x", status=status))
        answered, body = split_answer(client.take())
        assert body == b""
        assert b"Transfer-Encoding" not in answered
        assert b"Content-Length" not in answered
        assert not client.transport.closed
        assert proxy.record().outcome is Outcome.COMPLETED

    async def test_a_head_goes_down_before_its_body_is_there(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head("Transfer-Encoding: chunked"))
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")
        proxy.upstream.say(b"%x\r\n%b" % (len(EVENT), EVENT))
        assert client.take() == b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


class TestBreaking:
    async def test_between_events_an_error_event_says_so(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head() + EVENT + EVENT[:20])
        proxy.upstream.lose(ConnectionResetError("reset"))
        _, body = split_answer(client.take())
        assert body.startswith(EVENT + b'data: {"error":')
        assert json.loads(body.split(b"\n\n")[1][6:])["error"]["code"] == "upstream_disconnected"
        assert client.transport.closed
        assert not client.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.error_type) == (Outcome.TRUNCATED, "upstream_disconnected")

    async def test_within_a_promised_length_nothing_is_added(self, proxy: InMemoryProxy) -> None:
        body = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'
        client = proxy.client()
        await client.say(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        proxy.upstream.say(head(f"Content-Length: {len(STREAM)}") + EVENT)
        proxy.upstream.lose()
        assert split_answer(client.take())[1] == EVENT
        assert client.transport.aborted
        assert proxy.record().outcome is Outcome.TRUNCATED

    async def test_a_plain_answer_is_cut(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy, stream=False)
        proxy.upstream.say(
            head("Transfer-Encoding: chunked", content_type="application/json") + b"1\r\n{\r\n"
        )
        proxy.upstream.lose()
        assert client.transport.aborted
        assert not client.take().endswith(b"0\r\n\r\n")
        assert proxy.record().outcome is Outcome.TRUNCATED

    @pytest.mark.parametrize("lines", [("Content-Encoding: compress",), ("Content-Encoding: gzip, br",)])
    async def test_nothing_readable_is_put_into_what_we_cannot_read(
        self, proxy: InMemoryProxy, lines: tuple[str, ...]
    ) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head("Transfer-Encoding: chunked", *lines) + b"3\r\n\x8b\x01\x02\r\n")
        proxy.upstream.lose()
        assert b"error" not in client.take()
        assert client.transport.aborted
        assert proxy.record().outcome is Outcome.TRUNCATED

    async def test_nor_into_an_error_that_streams(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head("Transfer-Encoding: chunked", status="500 No") + b"3\r\ndat\r\n")
        proxy.upstream.lose()
        assert client.take().endswith(b"\r\n\r\n3\r\ndat\r\n")
        assert client.transport.aborted
        assert proxy.record().status_code == 500

    async def test_an_end_without_the_terminal_event_is_passed_on_and_judged(
        self, proxy: InMemoryProxy
    ) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head("Transfer-Encoding: chunked") + chunked(EVENT))
        assert split_answer(client.take())[1] == EVENT
        assert not client.transport.closed
        record = proxy.record()
        assert (record.outcome, record.error_type) == (Outcome.TRUNCATED, "stream_ended_early")

    async def test_a_mistake_of_ours_before_anything_went_out_is_an_answer(
        self, proxy: InMemoryProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await ask(proxy)
        monkeypatch.setattr(ChatStreamReader, "feed", _fail)
        proxy.upstream.say(head() + EVENT)
        assert client.take().startswith(b"HTTP/1.1 500 ")
        assert proxy.upstream.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.status_code) == (Outcome.INTERNAL_ERROR, 500)

    async def test_and_after_that_a_cut(self, proxy: InMemoryProxy, monkeypatch: pytest.MonkeyPatch) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head() + EVENT)
        monkeypatch.setattr(ChatStreamReader, "feed", _fail)
        proxy.upstream.say(EVENT)
        proxy.upstream.say(EVENT)
        assert client.transport.aborted
        assert proxy.upstream.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.status_code) == (Outcome.INTERNAL_ERROR, 200)


class TestCompressed:
    async def test_usage_is_read_and_the_bytes_stay(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy, stream=False, more="Accept-Encoding: gzip\r\n")
        packed = gzip.compress(b'{"model":"m-1","usage":{"prompt_tokens":3}}')
        proxy.upstream.say(
            head("Content-Encoding: gzip", f"Content-Length: {len(packed)}", content_type="a/json") + packed
        )
        answered, body = split_answer(client.take())
        assert body == packed
        assert b"Content-Encoding: gzip" in answered
        assert proxy.record().prompt_tokens == 3

    @given(ends=st.lists(st.integers(0, 200), max_size=8))
    def test_a_stream_that_is_compressed_unasked_is_unpacked(
        self, tmp_path_factory: pytest.TempPathFactory, ends: list[int]
    ) -> None:
        async def scenario() -> None:
            proxy = InMemoryProxy(tmp_path_factory.mktemp("proxy"))
            client = await ask(proxy)
            for piece in in_pieces(head("Content-Encoding: gzip") + gzip.compress(STREAM), ends):
                proxy.upstream.say(piece)
            proxy.upstream.lose()
            answered, body = split_answer(client.take())
            assert b"Content-Encoding" not in answered
            assert body == EVENT + EVENT + DONE
            assert proxy.record().completion_tokens == 2
            await proxy.close()

        asyncio.run(scenario())

    @pytest.mark.parametrize("bad", [b"not gzip", gzip.compress(bytes(40 << 20), 9)])
    async def test_damage_and_bombs_get_an_answer_of_ours(self, proxy: InMemoryProxy, bad: bytes) -> None:
        client = await ask(proxy)
        proxy.upstream.say(head("Content-Encoding: gzip") + bad)
        answered, body = split_answer(client.take())
        assert answered.startswith(b"HTTP/1.1 502 ")
        assert json.loads(body)["error"]["code"] == "upstream_bad_response"
        assert proxy.upstream.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.status_code) == (Outcome.UPSTREAM_ERROR, 502)

    async def test_a_bomb_that_is_only_passed_on_costs_nothing(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy, stream=False, more="Accept-Encoding: gzip\r\n")
        bomb = gzip.compress(bytes(80 << 20), 9)
        proxy.upstream.say(
            head("Content-Encoding: gzip", f"Content-Length: {len(bomb)}", content_type="a/json") + bomb
        )
        assert split_answer(client.take())[1] == bomb
        assert proxy.record().outcome is Outcome.COMPLETED

    async def test_damage_that_is_only_passed_on_is_the_clients_to_see(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy, stream=False, more="Accept-Encoding: deflate\r\n")
        packed = zlib.compress(b'{"model":"m-1"}')[:-6] + b"broken"
        proxy.upstream.say(
            head("Content-Encoding: deflate", f"Content-Length: {len(packed)}", content_type="a/json")
            + packed
        )
        assert split_answer(client.take())[1] == packed
        assert proxy.record().outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("status", "document", "outcome", "error_type", "message"),
    [
        ("400 No", {"error": {"code": "c", "message": "m"}}, Outcome.CLIENT_ERROR, "c", "m"),
        ("429 No", {"error": {"type": "t", "code": None}}, Outcome.CLIENT_ERROR, "t", None),
        ("404 No", {"detail": "Not Found"}, Outcome.CLIENT_ERROR, "http_404", "Not Found"),
        ("422 No", {"error": "wrong"}, Outcome.CLIENT_ERROR, "http_422", "wrong"),
        ("500 No", [1], Outcome.UPSTREAM_ERROR, "http_500", None),
        (
            "503 No",
            {"error": {"message": "Bearer sk-secret is bad"}},
            Outcome.UPSTREAM_ERROR,
            "http_503",
            ...,
        ),
    ],
)
async def test_errors_of_the_upstream_are_passed_on_and_named(
    proxy: InMemoryProxy, status: str, document: object, outcome: Outcome, error_type: str, message: object
) -> None:
    client = await ask(proxy)
    body = json.dumps(document).encode()
    proxy.upstream.say(head(f"Content-Length: {len(body)}", status=status, content_type="a/json") + body)
    assert split_answer(client.take())[1] == body
    record = proxy.record()
    assert (record.outcome, record.error_type) == (outcome, error_type)
    if message is ...:
        assert "sk-secret" not in (record.error_message or "")
    else:
        assert record.error_message == message


async def test_a_client_that_leaves_mid_stream_has_what_passed_in_its_record(proxy: InMemoryProxy) -> None:
    client = await ask(proxy)
    proxy.upstream.say(head() + EVENT + EVENT + EVENT[:5])
    await client.leave()
    assert proxy.upstream.transport.aborted
    record = proxy.record()
    assert (record.outcome, record.content_chunks, record.status_code) == (Outcome.CANCELLED, 2, 200)
    assert record.completion_tokens == 2
    assert record.usage_source == "estimated"


async def test_times_are_those_of_the_clock(proxy: InMemoryProxy) -> None:
    client = await ask(proxy)
    for seconds, data in ((1.0, head()), (0.5, EVENT), (0.25, EVENT), (0.125, USAGE + DONE)):
        proxy.clock.advance(seconds)
        proxy.upstream.say(data)
    proxy.clock.advance(0.0625)
    proxy.upstream.lose()
    await turns()
    assert client.take()
    record = proxy.record()
    assert (
        record.upstream_headers_ms,
        record.time_to_first_token_ms,
        record.time_to_last_token_ms,
        record.max_token_gap_ms,
        record.duration_ms,
    ) == (1000, 1500, 1750, 250, 1937.5)


def _fail(*_: object) -> bytes:
    raise LookupError("unforeseen")

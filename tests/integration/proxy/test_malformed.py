"""Requests that are not what they should be on the wire: refused, the connection closed, nothing sent on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from tests.support.raw_http import Connection, IncompleteAnswerError

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY: Final = b'{"model":"answer","messages":[]}'
LINE: Final = b"POST /v1/chat/completions HTTP/1.1"
SMUGGLED: Final = b"POST /v1/chat/completions HTTP/1.1\r\nHost: smuggled\r\nContent-Length: 2\r\n\r\n{}"


def _request(*headers: bytes, body: bytes = BODY, line: bytes = LINE) -> bytes:
    return b"\r\n".join([line, *headers, b"", b""]) + body


HOST: Final = b"Host: weir"
CHUNKED: Final = b"Transfer-Encoding: chunked"
EMPTY: Final = b"0\r\n\r\n"
MALFORMED: Final = {
    "both-framings": _request(HOST, b"Content-Length: 5", CHUNKED, body=EMPTY + SMUGGLED),
    "te-then-cl": _request(HOST, CHUNKED, b"Content-Length: 5", body=EMPTY + SMUGGLED),
    "two-lengths": _request(HOST, b"Content-Length: 32", b"Content-Length: 33"),
    "two-equal-lengths": _request(HOST, b"Content-Length: 32", b"Content-Length: 32"),
    "length-list": _request(HOST, b"Content-Length: 32, 32"),
    "signed-length": _request(HOST, b"Content-Length: +32"),
    "negative-length": _request(HOST, b"Content-Length: -1"),
    "hex-length": _request(HOST, b"Content-Length: 0x20"),
    "spaced-length": _request(HOST, b"Content-Length: 3 2"),
    "huge-length": _request(HOST, b"Content-Length: 99999999999999999999999999"),
    "te-unknown": _request(HOST, b"Transfer-Encoding: x, chunked", body=EMPTY),
    "te-not-last": _request(HOST, b"Transfer-Encoding: chunked, identity", body=EMPTY),
    "te-twice": _request(HOST, CHUNKED, CHUNKED, body=EMPTY),
    "te-gzip": _request(HOST, b"Transfer-Encoding: gzip, chunked", body=EMPTY),
    "te-xchunked": _request(HOST, b"Transfer-Encoding: xchunked", body=EMPTY),
    "no-host": _request(b"Content-Length: 32"),
    "two-hosts": _request(HOST, b"Host: other", b"Content-Length: 32"),
    "bad-host": _request(b"Host: a b", b"Content-Length: 32"),
    "space-before-colon": _request(HOST, b"Content-Length : 32"),
    "folded": _request(HOST, b"X-Folded: a", b" b", b"Content-Length: 32"),
    "bare-lf": b"POST /v1/chat/completions HTTP/1.1\nHost: weir\nContent-Length: 32\n\n" + BODY,
    "bare-cr": _request(HOST, b"X-A: a\rContent-Length: 5", b"Content-Length: 32"),
    "nul": _request(HOST, b"X-A: a\0b", b"Content-Length: 32"),
    "control": _request(HOST, b"X-A: a\x01b", b"Content-Length: 32"),
    "empty-name": _request(HOST, b": empty", b"Content-Length: 32"),
    "bad-name": _request(HOST, b"X(A): 1", b"Content-Length: 32"),
    "no-colon": _request(HOST, b"just words", b"Content-Length: 32"),
    "bad-version": _request(HOST, line=b"POST /v1/chat/completions HTTP/2.0"),
    "bad-method": _request(HOST, line=b"P(ST /v1/chat/completions HTTP/1.1"),
    "no-version": _request(HOST, line=b"POST /v1/chat/completions"),
    "chunk-sign": _request(HOST, CHUNKED, body=b"+20\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk-0x": _request(HOST, CHUNKED, body=b"0x20\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk-overflow": _request(HOST, CHUNKED, body=b"fffffffffffffffff\r\n" + BODY),
    "chunk-no-crlf": _request(HOST, CHUNKED, body=b"20\r\n" + BODY + b"XX0\r\n\r\n"),
    "chunk-lf": _request(HOST, CHUNKED, body=b"20\n" + BODY + b"\n0\n\n"),
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
    "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("case", list(MALFORMED))
async def test_malformed_requests_are_refused_and_the_connection_closed(
    fake: FakeLLM, proxy: Process, case: str
) -> None:
    seen = len(fake.received)
    async with await Connection.open(proxy.url) as connection:
        await connection.send(MALFORMED[case])
        answer = await connection.answer(deadline=10)
        assert answer.status in {400, 501}
        assert answer.error["code"]
        rest = await connection.ended(deadline=10)
    assert rest == b"", "nothing after a refusal: what follows may be smuggled"
    assert b"smuggled" not in answer.body
    assert [request.body for request in fake.received[seen:]] == []


OVERSIZED: Final = {
    "target": (414, b"POST /v1/chat/completions?" + b"q" * 20_000 + b" HTTP/1.1\r\nHost: weir\r\n\r\n"),
    "header": (431, b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"),
    "headers": (
        431,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\n"
        + (b"X: " + b"x" * 7000 + b"\r\n") * 12
        + b"\r\n",
    ),
    "fields": (
        431,
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    ),
}


@pytest.mark.parametrize("case", list(OVERSIZED))
async def test_heads_have_a_bound(proxy: Process, case: str) -> None:
    status, request = OVERSIZED[case]
    async with await Connection.open(proxy.url) as connection:
        await connection.send(request)
        answer = await connection.answer(deadline=10)
        assert answer.status == status
        assert answer.error["type"] == "invalid_request_error"


async def test_a_head_without_end_is_cut_off(proxy: Process) -> None:
    async with await Connection.open(proxy.url) as connection:
        await connection.send(b"POST /v1/chat/completions HTTP/1.1\r\n")
        try:
            for _ in range(1000):
                await connection.send(b"X-More: " + b"m" * 1000 + b"\r\n")
        except ConnectionError:
            return
        try:
            assert (await connection.answer(deadline=10)).status == 431
        except IncompleteAnswerError:
            return  # it was cut off in the middle of our sending


async def test_nothing_of_a_malformed_request_is_echoed_or_logged(proxy: Process) -> None:
    async with await Connection.open(proxy.url) as connection:
        await connection.send(LINE + b"\r\nHost: weir\r\nAuthorization: Bearer sk-very\x01secret\r\n\r\n")
        answer = await connection.answer()
    assert b"secret" not in answer.body
    assert "secret" not in proxy.stderr

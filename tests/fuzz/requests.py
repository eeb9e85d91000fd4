"""Requests: the same however they are cut, and never understood otherwise than by two other parsers."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h11
import httptools
from hypothesis import strategies as st
from tests.fuzz.part import Part, cuts, mutated, pieces
from tests.support.corpus import CASES
from tests.support.corpus.in_memory import Run, status_codes
from tests.support.proxy_in_memory import InMemoryProxy

from weir.proxy.wire.framing import BadRequestError, HeadLimits
from weir.proxy.wire.proxy_protocol import SIGNATURE, BadProxyHeaderError, read_header
from weir.proxy.wire.request_parser import RequestParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.proxy.exchange import RequestHead
    from weir.proxy.wire.framing import Headers

_SEEDS: Final = [case.raw for case in CASES if len(case.raw) < 2000]
_WORDS: Final = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\0",
        b":",
        b",",
        b";",
        b"/",
        b"#",
        b"%2e",
        b"\x0b",
        b"\xff",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"chunked",
        b"identity",
        b"Host: a\r\n",
    ),
    *(
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"1;a=b\r\nx\r\n",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"RTSP/1.0",
        b"GET / HTTP/1.1\r\n",
    ),
    *(
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
        b"+",
        b"-",
        b"0x",
    ),
)
_OURS: Final = 500
Understood = tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes]
"""Method, target, headers and body of one request."""


class _Notes:
    """What our parser tells."""

    def __init__(self) -> None:
        self.whole: list[Understood] = []
        self._head: RequestHead | None = None
        self._body = b""

    def request_began(self, head: RequestHead) -> None:
        self._head, self._body = head, b""

    def body_came(self, data: bytes) -> None:
        self._body += data

    def trailers_came(self, fields: Headers) -> None:
        assert self._head is not None, "trailers without a head"
        assert self._head.chunked, "trailers without chunks"
        assert fields, "told of nothing"

    def request_ended(self) -> None:
        head = self._head
        assert head is not None, "an end without a beginning"
        self._head = None
        headers = tuple((lower, value) for lower, _, value in head.headers)
        self.whole.append((head.method, head.path + head.query, headers, self._body))


def ours(parts: Sequence[bytes]) -> tuple[list[Understood], bool]:
    """The requests, and whether what follows them was refused."""
    notes = _Notes()
    parser = RequestParser(notes, HeadLimits())
    for part in parts:
        try:
            parser.feed(part)
        except BadRequestError as error:
            if error.status >= _OURS:
                raise
            return notes.whole, True
    return notes.whole, False


class _Llhttp:
    """What llhttp tells."""

    def __init__(self) -> None:
        self.whole: list[Understood] = []
        self.parser: Any = httptools.HttpRequestParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = self._body = b""
        self._in_head = True

    def on_message_begin(self) -> None:
        self._headers, self._target, self._body, self._in_head = [], b"", b"", True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method: bytes = self.parser.get_method()
        self.whole.append((method, self._target, tuple(self._headers), self._body))


def llhttp(data: bytes) -> list[Understood]:
    notes = _Llhttp()
    # what it had understood by then counts
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        notes.parser.feed_data(data)
    return notes.whole


def h11_reads(data: bytes) -> list[Understood]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    whole: list[Understood] = []
    request: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                headers = tuple((bytes(name), bytes(value)) for name, value in request.headers)
                whole.append((bytes(request.method), bytes(request.target), headers, body))
                connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return whole
                connection.start_next_cycle()
            else:
                return whole
    except h11.ProtocolError:  # of its own saying, too: it takes CONNECT
        return whole


_LLHTTP_TAKES: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH"}
)
"""Other methods it refuses, or takes for other protocols."""


def _agree(found: list[Understood], other: list[Understood], name: str) -> None:
    """As far as the other reads, it reads the same."""
    for mine, its in zip(found, other, strict=False):
        assert _without_lengths(mine) == _without_lengths(its), f"{name} understands it otherwise"


_FRAMES: Final = frozenset({b"content-length", b"transfer-encoding"})


def _without_lengths(understood: Understood) -> Understood:
    """A reader may write what frames its own way, as h11 does with leading zeros and capitals."""
    method, target, headers, body = understood
    return (
        method,
        target,
        tuple(pair for pair in headers if pair[0] not in _FRAMES),
        body,
    )


def _check_parser(example: tuple[bytes, list[int]]) -> None:
    data, places = example
    whole, refused = ours([data])
    assert ours(pieces(data, places)) == (whole, refused), "another cut, another meaning"
    assert ours([data[at : at + 1] for at in range(len(data))]) == (whole, refused), "a byte at a time"
    _agree(whole, h11_reads(data), "h11")
    if any(name == b"upgrade" for _, _, headers, _ in whole for name, _ in headers):
        return  # to llhttp the connection then speaks something else
    its = llhttp(data)
    _agree(whole, its, "llhttp")
    goes_on = b"HTTP/1.0" not in data and b"connection" not in data.lower()
    if goes_on and all(method in _LLHTTP_TAKES for method, *_ in whole):
        assert len(whole) <= len(its), "llhttp refuses what we take"


def _check_forwarded(example: tuple[bytes, list[int]]) -> None:
    data, places = example
    asyncio.run(_forward(pieces(data, places)))


async def _forward(parts: Sequence[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        proxy = InMemoryProxy(Path(directory))
        try:
            run = Run(proxy)
            await run.feed(parts)
            statuses = status_codes(run.said, bodiless_first=b"HEAD " in b"".join(parts)[:20])
            assert all(status < 500 for status in statuses), "a client's mistake is not ours"
            for request in run.forwarded:
                mine, refused = ours([request])
                assert not refused, "what we write, we take"
                assert len(mine) == 1
                assert llhttp(request) == mine, "llhttp understands it otherwise"
                assert [_without_lengths(one) for one in h11_reads(request)] == [_without_lengths(mine[0])]
            await run.leave()
        finally:
            await proxy.close()


def _check_preface(data: bytes) -> None:
    try:
        found = read_header(data)
    except BadProxyHeaderError:
        return
    if found is not None:
        address, end = found
        assert 0 < end <= len(data)
        assert read_header(data[:end]) == found, "what follows it is no part of it"
        assert address is None or address.isascii()
        for cut in range(1, end):
            assert read_header(data[:cut]) is None, "its beginning is not all of it"


_PREFACES: Final = (
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n",
    b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n",
    b"PROXY UNKNOWN\r\n",
    SIGNATURE + b"\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbbGET /",
    SIGNATURE + b"\x21\x21\x00\x24" + bytes(36),
    SIGNATURE + b"\x20\x00\x00\x00",
)
_examples: Final = st.tuples(mutated(_SEEDS, _WORDS), cuts)

PARTS: Final = {
    "requests": Part(_examples, _check_parser),
    "forwarded": Part(_examples, _check_forwarded, short=40),
    "proxy-protocol": Part(mutated(_PREFACES, (b"\r\n", b" ", b"\0", b"PROXY ", SIGNATURE)), _check_preface),
}

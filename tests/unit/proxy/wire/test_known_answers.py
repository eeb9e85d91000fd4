"""An answer whose head is of a known form is heard exactly as llhttp reads it, or llhttp reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fixtures import HeldClock
from tests.support.proxy_in_memory import UpstreamEnd
from tests.support.transport import in_pieces

from weir.proxy.upstream import Address
from weir.proxy.wire.heads import response_head
from weir.proxy.wire.upstream import UpstreamPool
from weir.proxy.wire.whole_chunks import last_chunks, whole_chunks

if TYPE_CHECKING:
    from weir.proxy.wire.framing import Headers, ResponseHead

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = (
    b"Content-Type: application/json\r\nx-request-id: req_1\r\nServer: a\r\nDate: Sat\r\n"
    b"Content-Length: 5\r\n\r\n"
)
STREAM = (
    b"content-type: text/event-stream\r\nrequest-id: 7\r\nTransfer-Encoding: chunked\r\nX-Team: a\r\n\r\n"
)
CHUNKS = b"5\r\nhello\r\n11b\r\n" + b"x" * 0x11B + b"\r\n0\r\n\r\n"


class Hearing:
    """What a listener was told, in the client's terms."""

    def __init__(self) -> None:
        self.trailers: Headers = []
        self.heads: list[bytes] = []
        self.facts: list[object] = []
        self.body = b""
        self.complete = 0
        self.errors: list[tuple[str, bool]] = []

    def trailed(self, fields: Headers) -> None:
        self.trailers += fields

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        if head is not None:
            own: dict[str, Any] = {"chunked": True, "connection": None, "drop": frozenset(), "extra": b""}
            self.heads.append(response_head(head, request_id="id", length=None, **own))
            kind = head.fields.get(b"content-type"), head.fields.get(b"content-encoding")
            self.facts.append((head.status, head.framing, head.content_length, head.upstream_id, kind))
        self.body += body
        self.complete += complete

    def broken(self, reason: str, *, garbage: bool) -> None:
        self.errors.append((reason, garbage))

    def upstream_paused(self) -> None: ...

    def upstream_resumed(self) -> None: ...


def heard(pieces: list[bytes], *known: bytes) -> tuple[object, ...]:
    """What is heard of an answer that comes in these pieces, after those that came before."""
    pool = UpstreamPool(Address.of("http://x"), tls=None, idle_seconds=60, monotonic=HeldClock().monotonic)
    for before in known:
        first, end = Hearing(), UpstreamEnd(pool)
        end.connection.send(b"", first)
        end.say(before)
        assert first.complete == 1
        pool.take_idle()
    end = UpstreamEnd(pool)
    hearing = Hearing()
    end.connection.send(b"", hearing)
    for piece in pieces:
        if not end.transport.closed:
            end.say(piece)
    kept = not end.transport.closed and pool.take_idle() is end.connection
    return hearing.heads, hearing.facts, hearing.body, hearing.complete, hearing.errors, kept


BEFORE = (OK + PLAIN + b"hello", OK + STREAM + CHUNKS)


@given(
    st.sampled_from(BEFORE),
    st.lists(st.integers(0, 500), max_size=6),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
def test_other_values_and_any_split(answer: bytes, ends: list[int], value: str) -> None:
    answer = answer.replace(b": a\r\n", b": " + value.encode() + b"\r\n")
    pieces = in_pieces(answer, ends)
    assert heard(pieces, *BEFORE)[1:] == heard(pieces)[1:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"req_1", b""),
        (b"req_1", b"req 1"),
        (b"req_1", b"req_\xe9"),
        (b"req_1", b"req\x00"),
        (b"req_1", b"a\r\n b"),
        (b"Date: Sat", b"Date:Sat"),
        (b"Date: Sat", b"Date: Sat\t"),
        (b"Date: Sat", b"Content-Length: 5"),
        (b"Date: Sat", b"Transfer-Encoding: chunked"),
        (b"Date: Sat", b"Connection: close"),
        (b"Date: Sat", b"Content-Encoding: gzip"),
        (b"application/json", b"text/html"),
        (b"th: 5", b"th: 4"),
        (b"th: 5", b"th: 05"),
        (b"th: 5", b"th: +5"),
        (b"th: 5", b"th: 5 "),
        (b"th: 5", b"th: 5, 5"),
        (b"th: 5", b"th: 0x5"),
        (b"th: 5", b"th: " + b"9" * 19),
        (b"th: 5", b"th: 6"),
        (b"th: 5", b"th: 0"),
        (b"200 OK", b"200 Fine"),
        (b"200 OK", b"404 Not Found"),
        (b"200 OK", b"204 No Content"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1", b"RTSP/1.0"),
        (b"chunked", b"Chunked"),
        (b"chunked", b"x, chunked"),
        (b"5\r\nhello", b"+5\r\nhello"),
        (b"5\r\nhello", b"0x5\r\nhello"),
        (b"5\r\nhello", b"5 \r\nhello"),
        (b"5\r\nhello", b"5;a=b\r\nhello"),
        (b"5\r\nhello", b"1_0\r\nhello"),
        (b"5\r\nhello", b"005\r\nhello"),
        (b"5\r\nhello", b"5\nhello"),
        (b"5\r\nhello", b"4\r\nhello"),
        (b"11b", b"11B"),
        (b"11b", b"11c"),
        (b"0\r\n\r\n", b"0\r\nX-Sum: 1\r\n\r\n"),
        (b"0\r\n\r\n", b"0\r\n\r\nx"),
        (b"0\r\n\r\n", b"00\r\n\r\n"),
        (b"0\r\n\r\n", b"0\r\n\r"),
    ],
)
@pytest.mark.parametrize("answer", BEFORE, ids=["length", "chunks"])
def test_odd_ones_are_heard_as_llhttp_reads_them(answer: bytes, old: bytes, new: bytes) -> None:
    answer = answer.replace(old, new, 1)
    head_end = answer.index(b"\r\n\r\n") + 4
    for pieces in ([answer], [answer[:head_end], answer[head_end:]]):
        assert heard(pieces, *BEFORE) == heard(pieces)


def test_a_form_is_known_after_one_answer() -> None:
    pool = UpstreamPool(Address.of("http://x"), tls=None, idle_seconds=60, monotonic=HeldClock().monotonic)
    end = UpstreamEnd(pool)
    end.connection.send(b"", Hearing())
    end.say(OK + PLAIN + b"hello")
    other = PLAIN.replace(b"req_1", b"req_2").replace(b": 5", b": 1234").replace(b"Sat", b"Sun")
    found = pool.known.find(OK + other + b"body")
    assert found is not None
    head, at = found
    assert (head.content_length, head.upstream_id, at) == (1234, b"req_2", len(OK + other))
    assert head.passed == OK + b"Content-Type: application/json\r\nx-request-id: req_2\r\nDate: Sun\r\n"


def test_forms_are_few() -> None:
    pool = UpstreamPool(Address.of("http://x"), tls=None, idle_seconds=60, monotonic=HeldClock().monotonic)
    for number in range(20):
        end = UpstreamEnd(pool)
        end.connection.send(b"", Hearing())
        end.say(OK + b"X-%d: 1\r\n" % number + PLAIN + b"hello")
    assert repr(pool.known) == "<KnownAnswers 4>"


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=4), st.booleans())
def test_whole_chunks(pieces: list[bytes], upper: bool) -> None:
    line = b"%X\r\n%b\r\n" if upper else b"%x\r\n%b\r\n"
    data = b"".join(line % (len(piece), piece) for piece in pieces)
    for _ in range(2):  # the second time the sizes are known
        assert whole_chunks(data) == b"".join(pieces)
        assert last_chunks(data + b"0\r\n\r\n") == b"".join(pieces)
    assert whole_chunks(data + b"0\r\n\r\n") is None
    assert last_chunks(data) is None
    assert whole_chunks(data[:-1]) is None

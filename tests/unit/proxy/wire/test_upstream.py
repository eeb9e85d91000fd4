"""The upstream's connection: responses however they are split, and nothing of one ever in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fixtures import HeldClock
from tests.support.proxy_in_memory import UpstreamEnd
from tests.support.transport import in_pieces

from weir.proxy.upstream import Address
from weir.proxy.wire.upstream import UpstreamPool

if TYPE_CHECKING:
    from weir.proxy.wire.framing import Headers, ResponseHead

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Id: 7\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=1\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
)
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


class Hearing:
    """Notes what a listener is told."""

    def __init__(self) -> None:
        self.heads: list[ResponseHead] = []
        self.body = b""
        self.complete = 0
        self.errors: list[tuple[str, bool]] = []
        self.flow: list[str] = []
        self.trailers: list[bytes] = []

    def trailed(self, fields: Headers) -> None:
        assert not self.complete, "something after the end"
        self.trailers += [name + b"=" + value for _, name, value in fields]

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        assert not self.complete, "something after the end"
        assert head is not None or self.heads, "a body before its head"
        if head is not None:
            self.heads.append(head)
        self.body += body
        self.complete += complete

    def broken(self, reason: str, *, garbage: bool) -> None:
        self.errors.append((reason, garbage))

    def upstream_paused(self) -> None:
        self.flow.append("paused")

    def upstream_resumed(self) -> None:
        self.flow.append("resumed")


class Wire:
    """A pool, one connection of it, and a request under way."""

    def __init__(self) -> None:
        self.clock = HeldClock()
        self.pool = UpstreamPool(
            Address.of("http://upstream.test"), tls=None, idle_seconds=60, monotonic=self.clock.monotonic
        )
        self.end = UpstreamEnd(self.pool)
        self.connection, self.transport = self.end.connection, self.end.transport
        self.hearing = self.ask()

    def ask(self) -> Hearing:
        hearing = Hearing()
        self.connection.send(b"request", hearing)
        return hearing

    @property
    def is_kept(self) -> bool:
        return not self.transport.closed and self.pool.take_idle() is self.connection


@pytest.fixture
def wire() -> Wire:
    return Wire()


@given(st.sampled_from([LENGTH, CHUNKED, EMPTY]), st.booleans(), st.lists(st.integers(0, 200), max_size=9))
def test_any_split_gives_the_same_response(response: bytes, hints: bool, ends: list[int]) -> None:
    wire = Wire()
    for piece in in_pieces((CONTINUE + HINTS if hints else b"") + response, ends):
        wire.end.say(piece)
    (head,) = wire.hearing.heads
    assert head.status == (204 if response is EMPTY else 200)
    assert wire.hearing.body == {LENGTH: b"hello", CHUNKED: b"abcde", EMPTY: b""}[response]
    assert (wire.hearing.complete, wire.hearing.errors) == (1, [])
    assert wire.is_kept


def test_a_connection_serves_one_request_after_another(wire: Wire) -> None:
    for uses in range(1, 4):
        assert wire.connection.uses == uses
        wire.end.say(LENGTH)
        assert wire.pool.take_idle() is wire.connection
        wire.hearing = wire.ask()
    assert wire.transport.written == b"request" * 4


def test_a_body_without_framing_ends_with_the_connection(wire: Wire) -> None:
    wire.end.say(CLOSED)
    assert not wire.hearing.complete
    wire.end.lose()
    assert (wire.hearing.body, wire.hearing.complete) == (b"until the end", 1)


@pytest.mark.parametrize("response", [LENGTH[:-1], CHUNKED[:-1], LENGTH[:20], b""])
def test_a_connection_that_ends_too_early_is_broken(wire: Wire, response: bytes) -> None:
    if response:
        wire.end.say(response)
    wire.end.lose()
    assert wire.hearing.errors == [("connection closed", False)]
    assert not wire.hearing.complete


def test_a_reset_is_never_a_proper_end(wire: Wire) -> None:
    wire.end.say(CLOSED)
    wire.end.lose(ConnectionResetError("reset by peer"))
    assert wire.hearing.errors == [("reset by peer", False)]


@pytest.mark.parametrize(
    "response",
    [
        LENGTH.replace(b"X-Id: 7", b"Connection: close"),
        LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"),
        LENGTH + b"GARBAGE",
        LENGTH + LENGTH,
        CHUNKED + b"x",
    ],
)
def test_a_connection_that_may_not_be_kept_is_closed_and_the_response_is_whole(
    wire: Wire, response: bytes
) -> None:
    wire.end.say(response)
    assert (wire.hearing.complete, wire.hearing.errors) == (1, [])
    assert wire.hearing.body in {b"hello", b"abcde"}
    assert wire.transport.aborted
    assert wire.pool.take_idle() is None


def test_bytes_nobody_asked_for_close_an_idle_connection(wire: Wire) -> None:
    wire.end.say(LENGTH)
    wire.end.say(LENGTH)
    assert wire.transport.aborted
    assert wire.pool.take_idle() is None
    wire.end.lose()
    assert repr(wire.pool) == "<UpstreamPool upstream.test: 0 idle, 0 opened>"


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\x01\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        CONTINUE * 9 + LENGTH,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 201 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("step", [1, 1_000_000])
def test_what_cannot_be_trusted_is_broken(wire: Wire, response: bytes, step: int) -> None:
    if step == 1 and len(response) > 2000:
        step = 999
    for piece in in_pieces(response, range(0, len(response), step)):
        wire.end.say(piece)
        if wire.transport.closed:
            break
    ((_, garbage),) = wire.hearing.errors
    assert garbage
    assert wire.transport.aborted
    assert not wire.hearing.complete
    wire.end.lose()
    assert len(wire.hearing.errors) == 1


def test_a_head_without_an_end_is_broken(wire: Wire) -> None:
    wire.end.say(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(70):
        if not wire.transport.closed:
            wire.end.say(b"y" * 1000)
    assert wire.hearing.errors == [("the response head is too large", True)]


@pytest.mark.parametrize("body", [b"zz\r\n", b"-1\r\n", b"1\r\nxy\r\n", b"1\nx\n"])
def test_chunks_that_cannot_be_trusted_break_the_answer_under_way(wire: Wire, body: bytes) -> None:
    wire.end.say(CHUNKED[: CHUNKED.index(b"2;")] + body)
    assert wire.hearing.body.startswith(b"abc")
    assert wire.hearing.errors == [("malformed response", True)]


def test_a_response_that_ends_while_reading_is_paused_leaves_a_usable_connection(wire: Wire) -> None:
    wire.end.say(LENGTH[:-2])
    wire.connection.pause()
    wire.connection.pause()
    assert wire.transport.is_reading_paused
    wire.end.say(LENGTH[-2:])  # what the loop had read already
    assert wire.hearing.complete
    assert not wire.transport.is_reading_paused
    assert wire.is_kept


def test_the_upstreams_pace_is_passed_on_while_somebody_listens(wire: Wire) -> None:
    wire.connection.pause_writing()
    wire.connection.resume_writing()
    wire.end.say(LENGTH)
    wire.connection.pause_writing()
    assert wire.hearing.flow == ["paused", "resumed"]


def test_a_cancelled_request_is_never_heard_of_again(wire: Wire) -> None:
    wire.connection.cancel()
    wire.end.say(LENGTH)
    wire.end.lose()
    assert (wire.hearing.heads, wire.hearing.complete, wire.hearing.errors) == ([], 0, [])
    wire.connection.pause()
    wire.connection.resume()


def test_the_pool_gives_the_latest_used_and_closes_the_longest_idle(wire: Wire) -> None:
    other = UpstreamEnd(wire.pool)
    other.connection.send(b"request", Hearing())
    wire.end.say(LENGTH)
    wire.clock.advance(40)
    other.say(LENGTH)
    wire.clock.advance(30)
    wire.pool.close_idle()
    assert wire.transport.aborted
    assert not other.transport.aborted
    assert wire.pool.take_idle() is other.connection
    assert wire.pool.take_idle() is None


def test_the_pool_forgets_what_the_upstream_closed(wire: Wire) -> None:
    wire.end.say(LENGTH)
    wire.end.lose()
    assert wire.pool.take_idle() is None
    assert repr(wire.connection) == "<UpstreamConnection upstream.test lost, 1 uses>"


async def test_trailers_are_told_before_the_end_and_only_of_their_own_response() -> None:
    wire = Wire()
    first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
    for byte in first + b"X-A: 1\r\nx-b:  2\r\n\r\n":
        wire.end.say(bytes([byte]))
    assert (wire.hearing.body, wire.hearing.complete) == (b"ab", 1)
    assert wire.hearing.trailers == [b"X-A=1", b"x-b=2"]
    again = wire.ask()
    wire.end.say(first + b"\r\n")
    assert (again.body, again.complete, again.trailers) == (b"ab", 1, [])
    for _ in range(2):  # by now the head is known
        known = wire.ask()
        wire.end.say(first + b"X-C: 3\r\n\r\n")
        assert (known.body, known.complete, known.trailers) == (b"ab", 1, [b"X-C=3"])


@pytest.mark.parametrize("lines", [b"X: " + b"y" * 70_000 + b"\r\n", b"X: y\r\n" * 300])
async def test_too_many_or_too_large_trailers_are_no_response(lines: bytes) -> None:
    wire = Wire()
    wire.end.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n" + lines + b"\r\n")
    assert (wire.hearing.complete, wire.hearing.trailers) == (0, [])
    assert [garbage for _, garbage in wire.hearing.errors] == [True]

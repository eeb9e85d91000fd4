"""The client's connection: requests in order however they are split, refusals, pace, every way to close."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.client_line import HEAD_TIMEOUT, KEEP_ALIVE, Line
from tests.support.fixtures import HeldClock
from tests.support.transport import in_pieces

from weir.proxy.wire.framing import HeadLimits
from weir.proxy.wire.server import CONTINUE, FLUSH_SECONDS, LINGER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n"
)
GET = b"GET /c?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def line(clock: HeldClock) -> Line:
    return Line(clock, HeadLimits(target_bytes=100, header_bytes=200, head_bytes=1000, fields=10))


async def turns() -> None:
    """Let the loop do what has been called soon."""
    for _ in range(20):
        await asyncio.sleep(0)


async def feed(line: Line, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        line.connection.data_received(piece)
        await turns()


class TestOffers:
    H2C = (
        b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: 5\r\n\r\nhello"
    )

    @given(st.lists(st.integers(0, 500), max_size=8))
    def test_a_client_that_offers_http_2_is_served_in_http_1(self, ends: list[int]) -> None:
        async def scenario() -> None:
            line = Line(HeldClock(), HeadLimits())
            line.application.answers_at_once = True
            await feed(line, in_pieces(self.H2C + GET + self.H2C, ends))
            assert line.transport.written == b"/a;/c;/a;"
            assert list(line.application.bodies.values()) == [b"hello", b"", b"hello"]

        asyncio.run(scenario())

    async def test_a_refused_one_gets_one_answer(self, line: Line) -> None:
        line.connection.data_received(self.H2C.replace(b"/a", b"/refused") + POST)
        assert line.transport.written == b"refused;"
        assert line.application.paths == ["/a"]

    async def test_a_malformed_one_is_the_clients_mistake(self, line: Line) -> None:
        line.connection.data_received(self.H2C.replace(b"Host: x", b"Host: x\r\nHost: y") + b"x")
        assert line.application.errors == [(400, None)]
        line.connection.data_received(b"x")

    async def test_garbage_after_it_is_the_clients_mistake(self, line: Line) -> None:
        line.application.answers_at_once = True
        line.connection.data_received(self.H2C + b"NOT HTTP\r\n\r\n")
        await turns()
        assert line.application.errors == [(400, None)]

    @pytest.mark.parametrize("target", [b"x:443", b"/v1/models", b"*"])
    async def test_a_tunnel_is_malformed(self, line: Line, target: bytes) -> None:
        line.connection.data_received(b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert line.application.accepted == []
        assert line.transport.written == b"400;"

    async def test_expect_continue_is_answered_when_its_turn_comes(self, line: Line) -> None:
        head = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        line.connection.data_received(POST + head)
        assert line.transport.take() == b""
        line.application.answer(line.application.dispatched[0])
        await turns()
        assert line.transport.take() == b"/a;" + CONTINUE
        line.connection.data_received(b"hello")
        assert line.application.paths == ["/a", "/a"]


class TestParsing:
    def test_a_request_is_accepted_received_and_dispatched(self, line: Line) -> None:
        line.connection.data_received(POST)
        (exchange,) = line.application.dispatched
        assert line.application.bodies[exchange] == b"hello"
        assert exchange.head.path == b"/a"
        assert exchange.client.address == "192.0.2.7"

    @given(st.lists(st.integers(0, 400), max_size=12))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_split_gives_the_same_requests_in_order(self, ends: list[int]) -> None:
        async def scenario() -> None:
            line = Line(HeldClock(), HeadLimits())
            line.application.answers_at_once = True
            await feed(line, in_pieces(POST + CHUNKED + REFUSED + GET + POST, ends))
            assert line.transport.written == b"/a;/b;refused;/c;/a;"
            assert list(line.application.bodies.values()) == [b"hello", b"abcdefg", b"", b"hello"]
            assert line.application.dispatched[2].head.query == b"?q=1"
            assert not line.transport.closed

        asyncio.run(scenario())

    @pytest.mark.parametrize("at", range(len(POST)))
    async def test_a_request_cut_anywhere_is_marked_once_it_is_accepted(self, line: Line, at: int) -> None:
        line.connection.data_received(POST[:at]) if at else None
        accepted = at >= len(POST) - 5
        assert len(line.application.accepted) == accepted
        assert len(line.application.marked) == accepted
        line.connection.data_received(POST[at:])
        assert line.application.paths == ["/a"]

    @pytest.mark.parametrize("request_bytes", [POST, TestOffers.H2C])
    def test_the_proxys_own_mistakes_are_logged_and_not_called_malformed(
        self, line: Line, request_bytes: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        line.application.fails = True
        line.connection.data_received(request_bytes)
        assert line.application.errors == [(500, None)]
        assert "a mistake of ours" in caplog.text


class TestPipelining:
    async def test_the_next_request_waits_for_the_answer(self, line: Line) -> None:
        line.connection.data_received(POST + CHUNKED + GET)
        assert line.application.paths == ["/a"]
        line.application.answer(line.application.dispatched[0])
        await turns()
        assert line.application.paths == ["/a", "/b"]
        assert line.application.bodies[line.application.dispatched[1]] == b"abcdefg"
        line.application.answer(line.application.dispatched[1])
        await turns()
        assert line.application.paths == ["/a", "/b", "/c"]

    async def test_what_comes_between_two_answers_does_not_overtake_what_waits(self, line: Line) -> None:
        line.connection.data_received(POST + CHUNKED)
        line.application.answer(line.application.dispatched[0])
        # The loop may read before the call that it owes us.
        line.connection.data_received(GET)
        await turns()
        line.application.answers_at_once = True
        line.application.answer(line.application.dispatched[1])
        await turns()
        assert line.application.paths == ["/a", "/b", "/c"]
        assert line.transport.written == b"/a;/b;/c;"

    async def test_unparsed_bytes_keep_their_order_too(self, line: Line) -> None:
        line.connection.data_received(POST)
        line.connection.data_received(GET[:20])
        line.application.answer(line.application.dispatched[0])
        line.connection.data_received(GET[20:])
        await turns()
        assert line.application.paths == ["/a", "/c"]
        assert line.application.errors == []

    async def test_a_body_that_comes_ahead_of_its_turn_is_held_within_a_bound(self, line: Line) -> None:
        huge = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        line.connection.data_received(POST + huge)
        sent = 0
        while not line.transport.is_reading_paused and sent < 1_000_000:
            line.connection.data_received(b"x" * 10_000)
            sent += 10_000
        assert sent <= 80_000
        line.application.answer(line.application.dispatched[0])
        await turns()
        assert not line.transport.is_reading_paused
        line.connection.data_received(b"x" * (1_000_000 - sent))
        assert line.application.paths == ["/a", "/b"]
        assert line.application.bodies[line.application.dispatched[1]] == b"x" * 1_000_000

    async def test_requests_that_come_ahead_are_held_within_a_bound(self, line: Line) -> None:
        line.connection.data_received(POST)
        sent = 0
        while not line.transport.is_reading_paused:
            line.connection.data_received(GET)
            sent += 1
        assert sent * len(GET) <= 80_000
        line.application.answers_at_once = True
        line.application.answer(line.application.dispatched[0])
        for _ in range(sent):
            await asyncio.sleep(0)
        assert len(line.application.dispatched) == 1 + sent
        assert not line.transport.is_reading_paused

    async def test_a_client_that_leaves_is_not_served_further(self, line: Line) -> None:
        line.connection.data_received(POST + CHUNKED)
        line.connection.connection_lost(None)
        assert line.application.left == line.application.dispatched
        line.connection.response_done(keep_alive=True)
        await turns()
        assert line.application.paths == ["/a"]
        assert line.registry == set()


class TestPace:
    async def test_the_exchange_hears_of_a_client_that_does_not_read(self, line: Line) -> None:
        line.connection.data_received(POST)
        line.connection.pause_writing()
        line.connection.resume_writing()
        assert line.application.flow == ["pause 0", "resume 0"]

    async def test_no_answer_is_begun_while_the_last_one_is_not_read(self, line: Line) -> None:
        line.connection.data_received(POST + CHUNKED)
        line.connection.pause_writing()
        line.application.answer(line.application.dispatched[0])
        await turns()
        assert line.application.paths == ["/a"]
        line.connection.resume_writing()
        await turns()
        assert line.application.paths == ["/a", "/b"]

    async def test_refusals_do_not_pile_up_for_a_client_that_does_not_read(self, line: Line) -> None:
        line.connection.pause_writing()
        sent = 0
        while not line.transport.is_reading_paused:
            line.connection.data_received(REFUSED)
            sent += 1
            assert sent * len(REFUSED) < 100_000
        assert line.transport.written == b""
        line.connection.resume_writing()
        await turns()
        assert line.transport.written == b"refused;" * sent
        assert not line.transport.is_reading_paused


class TestRefusing:
    async def test_a_refused_request_keeps_the_connection_and_its_body_is_dropped(self, line: Line) -> None:
        line.connection.data_received(REFUSED[:-3])
        assert line.transport.written == b"refused;"
        line.connection.data_received(REFUSED[-3:] + POST)
        assert line.application.paths == ["/a"]
        assert not line.transport.closed

    @pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
    async def test_a_long_rest_is_not_waited_for(self, line: Line, framing: bytes) -> None:
        line.connection.data_received(b"POST /refused HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % framing)
        assert line.transport.written == b"refused;"
        assert line.transport.has_eof
        assert not line.transport.closed, "a reset could overtake the answer"
        line.connection.data_received(b"x" * 1000)
        line.sweep_after(LINGER_SECONDS / 2)
        assert not line.transport.closed
        line.sweep_after(LINGER_SECONDS)
        assert line.transport.closed

    async def test_after_the_last_answer_nothing_more_is_taken(self, line: Line) -> None:
        line.connection.data_received(CHUNKED.replace(b"/b", b"/refused") + POST)
        await turns()
        assert line.transport.written == b"refused;"
        assert line.application.accepted == []

    @pytest.mark.parametrize(
        "garbage",
        [
            b"NOT HTTP\r\n\r\n",
            b"GET /c HTTP/1.1\r\n\r\n",
            b"GET /c HTTP/2.0\r\nHost: x\r\n\r\n",
            b"GET /c HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300 + b"\r\n\r\n",
            b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
            b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        ],
    )
    async def test_what_came_before_garbage_is_answered_first(self, line: Line, garbage: bytes) -> None:
        line.connection.data_received(POST + CHUNKED + garbage)
        line.connection.data_received(b"more of it")
        for number in range(2):
            assert line.application.errors == []
            line.application.answer(line.application.dispatched[number])
            await turns()
        assert line.application.paths == ["/a", "/b"]
        assert line.transport.written.startswith(b"/a;/b;")
        ((status, exchange),) = line.application.errors
        assert 400 <= status < 600
        assert exchange is None
        assert line.transport.has_eof

    async def test_a_body_that_breaks_ends_its_own_exchange(self, line: Line) -> None:
        line.connection.data_received(CHUNKED[: CHUNKED.index(b"4;")])
        line.connection.data_received(b"zz\r\n")
        assert line.application.errors == [(400, line.application.accepted[0])]
        assert line.transport.has_eof
        line.connection.data_received(POST)
        assert line.application.dispatched == []

    @pytest.mark.parametrize(
        ("head", "status"),
        [
            (b"GET /" + b"x" * 200 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10 + b"\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"y" * 150 + b"\r\n") * 7 + b"\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 2000, 431),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100 + b"\x00\r\n\r\n", 400),
        ],
    )
    @pytest.mark.parametrize("step", [1, 7, 10_000])
    async def test_heads_have_bounds(self, line: Line, head: bytes, status: int, step: int) -> None:
        await feed(line, in_pieces(head, range(0, len(head), step)))
        assert line.transport.written == b"%d;" % status

    @pytest.mark.parametrize(
        "endless",
        [b"X" * 50, b"0\r\nX-Trailer: " + b"y" * 50, b"1;ext=" + b"y" * 50, b"0\r\n" + b"X: y\r\n" * 8],
    )
    async def test_what_stands_between_chunks_has_a_bound(self, line: Line, endless: bytes) -> None:
        line.connection.data_received(CHUNKED[: CHUNKED.index(b"3\r\n")])
        line.connection.data_received(endless)
        for _ in range(1000):
            line.connection.data_received(endless[-6:])
        assert line.application.errors == [(400, line.application.accepted[0])]

    async def test_a_body_in_the_smallest_chunks_is_taken(self, line: Line) -> None:
        line.connection.data_received(CHUNKED[: CHUNKED.index(b"3\r\n")])
        for _ in range(5000):
            line.connection.data_received(b"1\r\nx\r\n")
        line.connection.data_received(b"0\r\n\r\n")
        assert line.application.bodies[line.application.dispatched[0]] == b"x" * 5000

    async def test_a_large_body_does_not_count_against_the_chunks_after_it(self, line: Line) -> None:
        large = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        line.application.answers_at_once = True
        await feed(line, [large + CHUNKED[:70], CHUNKED[70:]])
        assert line.application.paths == ["/a", "/b"]


class TestClosing:
    async def test_an_idle_connection_is_closed(self, line: Line) -> None:
        line.sweep_after(KEEP_ALIVE + 1)
        assert line.transport.closed

    async def test_one_whose_refused_body_was_dropped_idles_too(self, line: Line) -> None:
        line.connection.data_received(REFUSED[:-3])
        line.connection.data_received(REFUSED[-3:])
        line.sweep_after(KEEP_ALIVE + 1)
        assert line.transport.closed

    async def test_one_whose_refused_body_never_comes_is_closed(self, line: Line) -> None:
        line.connection.data_received(REFUSED[:-3])
        line.connection.data_received(REFUSED[-3:-2])
        line.sweep_after(KEEP_ALIVE + 1)
        assert line.transport.has_eof

    async def test_a_request_under_way_is_not_idle(self, line: Line) -> None:
        line.connection.data_received(POST)
        line.sweep_after(KEEP_ALIVE + 1)
        assert not line.transport.closed
        line.application.answer(line.application.dispatched[0])
        line.sweep_after(KEEP_ALIVE - 1)
        assert not line.transport.closed
        line.sweep_after(2)
        assert line.transport.closed

    async def test_a_slow_head_is_given_up_however_it_drips(self, line: Line) -> None:
        for byte in POST[:12]:
            line.connection.data_received(bytes([byte]))
            line.sweep_after(HEAD_TIMEOUT / 11)
        assert line.transport.written == b"408;"
        assert line.transport.has_eof

    async def test_a_client_that_never_reads_the_end_is_cut(self, line: Line) -> None:
        line.connection.data_received(POST.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        line.connection.pause_writing()
        line.application.answer(line.application.dispatched[0])
        assert line.transport.closed
        assert not line.transport.aborted, "what was written has time to go out"
        line.sweep_after(FLUSH_SECONDS - 1)
        assert not line.transport.aborted
        line.sweep_after(2)
        assert line.transport.aborted

    async def test_draining_closes_what_is_idle_and_the_rest_after_its_answer(self, line: Line) -> None:
        line.connection.data_received(POST + CHUNKED)
        line.connection.drain()
        assert not line.transport.closed
        assert line.connection.must_close(line.application.dispatched[0].head)
        line.application.answer(line.application.dispatched[0])
        await turns()
        assert line.transport.closed
        assert line.application.paths == ["/a"]

    @pytest.mark.parametrize("sent", [b"", GET[:10], REFUSED[:-3], GET])
    async def test_draining_an_idle_connection_closes_it(self, line: Line, sent: bytes) -> None:
        line.application.answers_at_once = True
        if sent:
            line.connection.data_received(sent)
        line.connection.drain()
        assert line.transport.closed or line.transport.has_eof

    async def test_draining_while_the_body_is_incomplete_waits_for_it(self, line: Line) -> None:
        line.connection.data_received(POST[:-3])
        line.connection.drain()
        line.connection.data_received(POST[-3:])
        line.application.answer(line.application.dispatched[0])
        assert line.transport.written == b"/a;"
        assert line.transport.closed

    async def test_aborting_ends_everything(self, line: Line) -> None:
        line.connection.data_received(POST + CHUNKED)
        line.connection.abort()
        line.connection.write(b"too late")
        line.connection.data_received(GET)
        line.connection.connection_lost(None)
        await turns()
        assert line.transport.aborted
        assert line.transport.written == b""
        assert line.application.left == []
        assert line.application.paths == ["/a"]

    def test_its_state_can_be_read(self, line: Line) -> None:
        assert repr(line.connection) == "<ClientConnection 192.0.2.7 idle>"
        line.connection.data_received(POST)
        assert repr(line.connection) == "<ClientConnection 192.0.2.7 answering>"
        line.connection.abort()
        assert repr(line.connection) == "<ClientConnection 192.0.2.7 closing>"

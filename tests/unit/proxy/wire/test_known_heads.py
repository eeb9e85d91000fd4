"""A head that was parsed before means the same again; anything else goes to the parser."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.client_line import Line
from tests.support.fixtures import HeldClock
from tests.support.proxy_in_memory import turns
from tests.support.transport import in_pieces

from weir.proxy.wire.framing import HeadLimits, read_request_head
from weir.proxy.wire.known_heads import KnownHeads

LINES = ["Host: x", "User-Agent: OpenAI/Python 3", "Content-Length: 5", "X-Other: 1"]


def message(*lines: str, target: str = "/a", method: str = "POST", end: str = "\r\n") -> bytes:
    return "".join(line + end for line in (f"{method} {target} HTTP/1.1", *lines, "")).encode()


def learned(*lines: str, method: str = "POST") -> KnownHeads:
    """What is known after a request with these header lines."""
    headers = [line.encode().partition(b":") for line in lines]
    parsed = [(name.lower(), name, value.strip()) for name, _, value in headers]
    known = KnownHeads()
    known.learn(message(*lines, method=method), read_request_head(method.encode(), b"/a", "1.1", parsed))
    return known


def test_the_same_head_with_another_length() -> None:
    known = learned(*LINES)
    again = message(*LINES).replace(b": 5", b": 123")
    found = known.find(again + b"body")
    assert found is not None
    head, end = found
    assert (head.content_length, end) == (123, len(again))
    first = known.find(message(*LINES))
    assert first is not None
    assert first[0].memory is head.memory
    assert first[0].content_length == 5


def test_a_head_without_a_body() -> None:
    known = learned("Host: x", method="GET")
    found = known.find(message("Host: x", method="GET"))
    assert found is not None
    assert found[0].content_length is None


@pytest.mark.parametrize(
    "other",
    [
        message(*LINES[:-1]),
        message(*LINES, "X-More: 1"),
        message(*LINES).replace(b"POST", b"PUT"),
        message(*LINES).replace(b"/a", b"/b"),
        message(*LINES).replace(b"Content-Length", b"content-length"),
        message(*LINES).replace(b": 5", b": +5"),
        message(*LINES).replace(b": 5", b": 5 "),
        message(*LINES).replace(b": 5", b": "),
        message(*LINES).replace(b": 5", b": 0x5"),
        message(*LINES).replace(b": 5", b": " + b"9" * 19),
        message(*LINES).replace(b": 5", b": 5, 5"),
        message(*LINES).replace(b": 5", b": 5\r\nContent-Length: 6"),
        message(*LINES)[:-1],
        message(*LINES, end="\n"),
        b"\r\n" + message(*LINES),
        # the digits cut out of another place
        message("Host: x", "User-Agent: OpenAI/Python 3", "Content-L", "X-Other: 1ength: 5"),
    ],
)
def test_another_head_is_not_known(other: bytes) -> None:
    assert learned(*LINES).find(other) is None


@pytest.mark.parametrize(
    "lines",
    [
        ("Host: x", "X-Strength: 5"),
        ("Host: x", "X-Strength: 5", "Content-Length: 5"),
        ("Host: x", "Content-Length:5"),
        ("Host: x", "Transfer-Encoding: chunked"),
        ("Host: x", "Expect: 100-continue", "Content-Length: 5"),
        ("Host: x", "Upgrade: h2c", "Content-Length: 5"),
        ("Host: x", f"X-Long: {'x' * 5000}", "Content-Length: 5"),
    ],
)
def test_what_is_not_plain_is_not_learned(lines: tuple[str, ...]) -> None:
    assert learned(*lines).find(message(*lines)) is None


def test_what_stands_before_a_head_is_not_learned_with_it() -> None:
    """The parser skips empty lines before a request; an empty line alone must not become one."""
    known = KnownHeads()
    head = read_request_head(b"GET", b"/a", "1.1", [(b"host", b"Host", b"x")])
    known.learn(b"\r\n\r\n" + message("Host: x", method="GET"), head)
    assert known.find(b"\r\n\r\n") is None


def test_their_number_is_bounded() -> None:
    known = KnownHeads()
    for number in range(1000):
        line = f"X-N: {number}"
        headers = [(b"host", b"Host", b"x"), (b"x-n", b"X-N", b"%d" % number)]
        known.learn(message("Host: x", line), read_request_head(b"POST", b"/a", "1.1", headers))
    assert len(known._heads) <= 256
    assert known.find(message("Host: x", "X-N: 999")) is not None
    known.forget()
    assert known.find(message("Host: x", "X-N: 999")) is None


@given(st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_any_split_gives_the_same_requests(ends: list[int], answers_at_once: bool) -> None:
    """The first request teaches the head, the others come past the parser, whole or in pieces."""

    async def scenario() -> None:
        line = Line(HeldClock(), HeadLimits())
        line.application.answers_at_once = True
        line.connection.data_received(message("Host: x", "Content-Length: 5") + b"first")
        line.application.answers_at_once = answers_at_once
        rest = message("Host: x", "Content-Length: 6") + b"second" + message("Host: x", "Content-Length: 0")
        rest += message("Host: x", "Content-Length: 3") + b"end"
        answered = 1
        for piece in [*in_pieces(rest, ends), b""]:
            if piece:
                line.connection.data_received(piece)
            for _ in range(4):
                await turns()
                for exchange in line.application.dispatched[answered:] if not answers_at_once else ():
                    line.application.answer(exchange)
                    answered += 1
        bodies = [line.application.bodies[exchange] for exchange in line.application.dispatched]
        assert bodies == [b"first", b"second", b"", b"end"]
        assert line.application.accepted == line.application.dispatched
        assert line.application.errors == []

    asyncio.run(scenario())

"""One way of an upstream to answer wrongly, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Do(Enum):
    """What an upstream does besides writing."""

    FIN = "close"
    RESET = "close with a RST"
    STALL = "say nothing more"
    WHEN_ANSWERED = "wait until the client has its answer"


Step = bytes | Do

JSON: Final = b"Content-Type: application/json"
SSE: Final = b"Content-Type: text/event-stream"
PLAIN: Final = b'{"model":"m","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}'
_CHUNK: Final = b'data: {"object":"chat.completion.chunk","model":"m","choices":[%b]}\n\n'
EVENT: Final = _CHUNK % b'{"index":0,"delta":{"content":"a"}}'
STOP: Final = _CHUNK % b'{"index":0,"delta":{},"finish_reason":"stop"}'
DONE: Final = b"data: [DONE]\n\n"
POISON: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\npoison"
"""An answer that nobody asked for. Nobody must get it."""


@dataclass(frozen=True, slots=True)
class Misdeed:
    """By default the client gets a 502 of ours."""

    name: str
    steps: tuple[Step, ...]
    status: int = 502
    body: bytes | None = None
    """To the byte; None where it is ours, or breaks off."""
    breaks_off: bool = False
    """The answer's framing stays open: the client can tell that something is missing."""
    outcome: str = "upstream_error"
    error_type: str | None = "upstream_bad_response"
    stream: bool = False
    """The client asks for a stream."""
    without: tuple[str, ...] = ()
    """Headers that must not reach the client."""
    connection_ends: bool = True
    """The proxy never uses this connection again."""


def head(*lines: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([version + b" " + status, *lines, b"", b""])


def whole(body: bytes = PLAIN, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed answer."""
    return head(JSON, b"Content-Length: %d" % len(body), *lines, status=status) + body


def chunked(*pieces: bytes) -> bytes:
    """Whole chunks, without the last."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def passed(name: str, *steps: Step, body: bytes = PLAIN, kept: bool = True, status: int = 200) -> Misdeed:
    """Odd, but an answer: the client gets it, and the connection is kept if `kept`."""
    return Misdeed(
        name,
        steps,
        status,
        body,
        outcome="completed",
        error_type=None,
        connection_ends=not kept,
    )


def garbage(name: str, *steps: Step) -> Misdeed:
    """No answer: the client gets ours, the connection is dropped."""
    return Misdeed(name, steps)

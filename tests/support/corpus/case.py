"""One raw request (or several after one another) and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARK: Final = b"MARKmarkMARKmark"
"""Stands for a word of the same length that occurs nowhere else. It is in each case, in every place that a
finding could echo, and must come back neither in an answer nor in the log."""
UPSTREAM: Final = b"UPSTREAM"
"""Stands for the upstream's own address in what it is expected to see."""

CHAT: Final = b"/v1/chat/completions"
LINE: Final = b"POST /v1/chat/completions HTTP/1.1"
HOST: Final = b"Host: weir.test"
MARKED: Final = b"X-Mark: " + MARK
BODY: Final = b'{"model":"m","messages":[{"role":"user","content":"' + MARK + b'"}]}'
LENGTH: Final = b"Content-Length: %d" % len(BODY)
CHUNKED: Final = b"Transfer-Encoding: chunked"
SMUGGLED: Final = (
    b"POST /v1/embeddings HTTP/1.1\r\nHost: weir.test\r\nX-Mark: %b\r\nContent-Length: 2\r\n\r\n{}" % MARK
)
"""A whole request, put where one reader could take it for a body and another for the next request."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent and what must be seen; by default a refusal of which the upstream hears nothing."""

    name: str
    raw: bytes
    statuses: tuple[int, ...] = (400,)
    """Of the answers, in order, interim ones included."""
    kept: bool = False
    """Whether the connection serves the next request, or ends after the answers."""
    forwarded: tuple[bytes, ...] = ()
    """What the upstream sees, to the byte."""
    head_first: bool = False
    """The first answer is to HEAD and has no body."""
    at_once: bool = False
    """Only sent whole: the answer comes before the end, and a later piece would be answered by a reset."""
    leaves: bool = False
    """The client closes after it has sent this; nobody is answered."""


def request(*lines: bytes, line: bytes = LINE, host: bytes | None = HOST, body: bytes = b"") -> bytes:
    """A request of these lines. Only what is given is there: no Content-Length comes by itself."""
    first = (line, host) if host is not None else (line,)
    return b"\r\n".join([*first, MARKED, *lines, b"", b""]) + body


def seen(
    *lines: bytes,
    line: bytes = LINE,
    host: bytes = b"weir.test",
    body: bytes | None = BODY,
    codings: bytes = b"identity",
    trailers: bool = False,
    chunks: bytes | None = None,
) -> bytes:
    """What the upstream sees of a request: the client's lines that go up, and ours around them.

    `trailers`: the client takes them. `chunks` is the body as framed, in place of one that has its length.
    """
    ours = [
        b"Accept-Encoding: " + codings,
        *((b"TE: trailers", b"Connection: TE") if trailers else ()),
        b"X-Forwarded-Proto: http",
        *([b"X-Forwarded-Host: " + host] if host else []),
        b"X-Forwarded-For: 127.0.0.1",
    ]
    framing = () if body is None else (b"Content-Length: %d" % len(body),)
    if chunks is not None:
        framing, body = (CHUNKED,), chunks
    return b"\r\n".join([line, b"Host: " + UPSTREAM, MARKED, *lines, *ours, *framing, b"", b""]) + (
        body or b""
    )


def refused(name: str, raw: bytes, status: int = 400) -> Case:
    """Answered once, closed, nothing forwarded."""
    return Case(name, raw, (status,))


def turned_away(name: str, raw: bytes, status: int = 404) -> Case:
    """Well-formed, but nothing for the upstream: the connection goes on."""
    return Case(name, raw, (status,), kept=True)


def taken(name: str, raw: bytes, *forwarded: bytes, kept: bool = True) -> Case:
    """Forwarded as one request (or these), answered with what the upstream says."""
    return Case(name, raw, (200,) * len(forwarded), kept=kept, forwarded=forwarded)

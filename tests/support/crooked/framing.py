"""Answers whose end could be found in two places, or that go on after it."""

from __future__ import annotations

from typing import Final

from tests.support.crooked.misdeed import (
    DONE,
    EVENT,
    JSON,
    PLAIN,
    POISON,
    SSE,
    STOP,
    Do,
    Misdeed,
    chunked,
    garbage,
    head,
    passed,
    whole,
)

_N: Final = len(PLAIN)
_LENGTH: Final = b"Content-Length: %d" % _N
_CHUNKED: Final = b"Transfer-Encoding: chunked"
_AS_CHUNK: Final = chunked(PLAIN)
_LAST: Final = b"0\r\n\r\n"


def _length(value: bytes) -> Misdeed:
    answer = head(JSON, b"Content-Length:" + value) + PLAIN
    return garbage(f"a length of {value.decode('latin-1')!r}", answer, Do.FIN)


def _encoding(*lines: bytes) -> Misdeed:
    name = " / ".join(line.decode("latin-1") for line in lines)
    return garbage(f"framed as {name}", head(JSON, *lines) + _AS_CHUNK + _LAST, Do.FIN)


def _broken_chunk(name: str, data: bytes) -> Misdeed:
    """The head is with the client by then; the answer breaks off."""
    return Misdeed(
        f"chunks {name}",
        (head(JSON, _CHUNKED), _AS_CHUNK, data, Do.STALL),
        200,
        breaks_off=True,
        outcome="truncated",
    )


def _and_more(name: str, answer: bytes, more: bytes) -> Misdeed:
    """A whole answer and what nobody asked for, in one."""
    return passed(name, answer + more, kept=False)


FRAMING: Final = (
    _length(b" %d, %d" % (_N, _N)),
    _length(b" +%d" % _N),
    _length(b" -1"),
    _length(b" 0x10"),
    _length(b" 1e2"),
    _length(b" 1 2"),
    _length(b""),
    _length(b" 99999999999999999999999"),
    _length(b" \xb2"),
    garbage("two lengths that differ", head(JSON, _LENGTH, b"Content-Length: 5") + PLAIN),
    garbage("two equal lengths", head(JSON, _LENGTH, _LENGTH) + PLAIN),
    _encoding(_LENGTH, _CHUNKED),
    _encoding(_CHUNKED, _LENGTH),
    _encoding(b"Transfer-Encoding: x, chunked"),
    _encoding(b"Transfer-Encoding: chunked, identity"),
    _encoding(b"Transfer-Encoding: gzip, chunked"),
    _encoding(b"Transfer-Encoding: identity"),
    _encoding(b"Transfer-Encoding: xchunked"),
    _encoding(b"Transfer-Encoding:\x0bchunked"),
    _encoding(_CHUNKED, _CHUNKED),
    garbage("chunks in HTTP/1.0", head(JSON, _CHUNKED, version=b"HTTP/1.0") + _AS_CHUNK + _LAST, Do.FIN),
    _broken_chunk("with a size of no digits", b"xyz\r\n"),
    _broken_chunk("with a size of minus one", b"-1\r\n"),
    _broken_chunk("with a size of 0x5", b"0x5\r\nhello\r\n"),
    _broken_chunk("with a size beyond 64 bits", b"1" + b"0" * 16 + b"\r\n"),
    _broken_chunk("with bare LF", b"5\nhello\n"),
    _broken_chunk("longer than said", b"5\r\nhello!\r\n"),
    _broken_chunk("with a NUL in an extension", b"5;a=\x00\r\nhello\r\n"),
    _broken_chunk("with a broken trailer", b"0\r\nX A: b\r\n\r\n"),
    Misdeed(
        "chunks with a trailer without end",
        (head(JSON, _CHUNKED), _AS_CHUNK, b"0\r\n" + b"X-A: bbbbbbbb\r\n" * 100_000, Do.STALL),
        200,
        breaks_off=True,
        outcome="truncated",
    ),
    Misdeed(
        "chunks with an extension without end",
        (head(JSON, _CHUNKED), _AS_CHUNK, b"5;a=" + b"b" * 200_000, Do.STALL),
        200,
        breaks_off=True,
        outcome="truncated",
    ),
    passed("chunks with a trailer", head(JSON, _CHUNKED) + _AS_CHUNK + b"0\r\nX-A: b\r\n\r\n"),
    passed("chunks with extensions", head(JSON, _CHUNKED) + b"%x;a=b\r\n%b\r\n0;c\r\n\r\n" % (_N, PLAIN)),
    passed("a body that ends with the connection", head(JSON), PLAIN, Do.FIN, kept=False),
    passed("HTTP/1.0", head(JSON, _LENGTH, version=b"HTTP/1.0") + PLAIN, Do.FIN, kept=False),
    # more than was asked for
    _and_more("a second answer in the same packet", whole(), POISON),
    _and_more("a second answer after chunks", head(JSON, _CHUNKED) + _AS_CHUNK + _LAST, POISON),
    _and_more("a byte too many", whole(), b"x"),
    passed("an empty line too many, which llhttp reads over", whole() + b"\r\n"),
    _and_more("half a second answer", whole(), POISON[:20]),
    _and_more("a longer body than said", head(JSON, b"Content-Length: %d" % _N) + PLAIN, b"more"),
    passed("a second answer when the first is read", whole(), Do.WHEN_ANSWERED, POISON, kept=False),
    passed(
        "a 408 when the answer is read",
        whole(),
        Do.WHEN_ANSWERED,
        head(b"Content-Length: 0", status=b"408 Request Timeout"),
        Do.FIN,
        kept=False,
    ),
    passed("the end when the answer is read", whole(), Do.WHEN_ANSWERED, Do.FIN, kept=False),
    passed("a reset when the answer is read", whole(), Do.WHEN_ANSWERED, Do.RESET, kept=False),
    Misdeed(
        "204 with a body",
        (head(status=b"204 No Content") + POISON,),
        204,
        b"",
        outcome="completed",
        error_type=None,
    ),
    Misdeed(
        "204 with a length and a body",
        (head(_LENGTH, status=b"204 No Content") + PLAIN,),
        204,
        b"",
        outcome="completed",
        error_type=None,
    ),
    Misdeed(
        "304 with a body",
        (head(status=b"304 Not Modified") + POISON,),
        304,
        b"",
        outcome="completed",
        error_type=None,
    ),
    # less than was said
    Misdeed(
        "a shorter body than said",
        (head(JSON, b"Content-Length: %d" % (_N + 9)) + PLAIN, Do.FIN),
        200,
        breaks_off=True,
        outcome="truncated",
        error_type="upstream_disconnected",
    ),
    Misdeed(
        "a body that is reset",
        (head(JSON, _LENGTH) + PLAIN[:9], Do.RESET),
        200,
        breaks_off=True,
        outcome="truncated",
        error_type="upstream_disconnected",
    ),
    Misdeed(
        "chunks that end early",
        (head(JSON, _CHUNKED) + _AS_CHUNK, Do.FIN),
        200,
        breaks_off=True,
        outcome="truncated",
        error_type="upstream_disconnected",
    ),
    Misdeed(
        "a chunk that ends early",
        (head(JSON, _CHUNKED) + _AS_CHUNK[:20], Do.RESET),
        200,
        breaks_off=True,
        outcome="truncated",
        error_type="upstream_disconnected",
    ),
    Misdeed(
        "a body that stalls",
        (head(JSON, _LENGTH) + PLAIN[:9], Do.STALL),
        200,
        breaks_off=True,
        outcome="timeout",
        error_type="upstream_timeout",
    ),
    Misdeed(
        "a body that should end with the connection, which does not",
        (head(JSON) + PLAIN, Do.STALL),
        200,
        breaks_off=True,
        outcome="timeout",
        error_type="upstream_timeout",
    ),
    Misdeed(
        "a body that ends with a reset",
        (head(JSON), PLAIN, Do.RESET),
        200,
        breaks_off=True,
        outcome="truncated",
        error_type="upstream_disconnected",
    ),
    Misdeed(
        "a stream and a second answer",
        (head(SSE, _CHUNKED) + chunked(EVENT + STOP + DONE) + _LAST + POISON,),
        200,
        EVENT + STOP + DONE,
        outcome="completed",
        error_type=None,
        stream=True,
    ),
)

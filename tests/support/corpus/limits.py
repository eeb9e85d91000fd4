"""Sizes one below and one beyond their limits, which are the defaults."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import BODY, CHAT, CHUNKED, LENGTH, MARK, Case, refused, request, seen, taken

_TARGET: Final = 8 << 10
_HEADER: Final = 16 << 10
_HEAD: Final = 64 << 10
_FIELDS: Final = 100
_BODY: Final = 64 << 20
_OURS: Final = 3
"""Host, the mark and the length are fields, too."""


def _target(size: int) -> bytes:
    return b"POST " + (CHAT + b"?").ljust(size, b"q") + b" HTTP/1.1"


def _header(size: int) -> bytes:
    return b"X-A: " + b"x" * (size - len(b"X-A"))


LIMITS: Final = (
    taken(
        "a target at its limit",
        request(LENGTH, line=_target(_TARGET), body=BODY),
        seen(line=_target(_TARGET)),
    ),
    refused("a target beyond its limit", request(LENGTH, line=_target(_TARGET + 1), body=BODY), 414),
    refused("a target without end", b"POST /" + MARK + b"a" * 20_000, 414),
    refused("a target that would not fit a head", request(line=_target(100_000)), 414),
    taken("a header at its limit", request(_header(_HEADER), LENGTH, body=BODY), seen(_header(_HEADER))),
    refused("a header beyond its limit", request(_header(_HEADER + 1), LENGTH, body=BODY), 431),
    refused("a header that does not end", request(b"X-A: " + b"x" * 20_000)[:-4], 431),
    refused("a header whose name does not end", request(b"X" * 20_000)[:-4], 431),
    taken(
        "as many fields as may be",
        request(*[b"X-A: a"] * (_FIELDS - _OURS), LENGTH, body=BODY),
        seen(*[b"X-A: a"] * (_FIELDS - _OURS)),
    ),
    refused("one field too many", request(*[b"X-A: a"] * (_FIELDS - _OURS + 1), LENGTH, body=BODY), 431),
    refused("headers too large together", request(*[_header(8000)] * 9, LENGTH, body=BODY), 431),
    refused("headers without end", request(*[_header(1000)] * 80)[:-2], 431),
    refused("empty lines without end", b"\r\n" * 40_000, 400),
    Case(
        "a length beyond the largest body",
        request(b"Content-Length: %d" % (_BODY + 1)),
        (413,),
    ),
    Case("a length of nearly 60 bits", request(b"Content-Length: 999999999999999999", body=BODY), (413,)),
    Case(
        "a length beyond the largest body, with patience",
        request(b"Content-Length: %d" % (_BODY + 1), b"Expect: 100-continue"),
        (413,),
    ),
    Case(
        "a large body for nobody",
        request(b"Content-Length: 100000000", line=b"POST /nowhere HTTP/1.1"),
        (404,),
    ),
    Case("a chunked body for nobody", request(CHUNKED, line=b"POST /nowhere HTTP/1.1"), (404,)),
)

"""Requests after one another on a connection: each is answered in its turn, and what is broken ends it."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import (
    BODY,
    CHUNKED,
    LENGTH,
    LINE,
    MARK,
    SMUGGLED,
    Case,
    request,
    seen,
    taken,
)

_POST: Final = request(LENGTH, body=BODY)
_CHUNKS: Final = request(CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
_MODELS_LINE: Final = b"GET /v1/models HTTP/1.1"
_MODELS: Final = request(line=_MODELS_LINE)
_SEEN_MODELS: Final = seen(line=_MODELS_LINE, body=None)
_NOWHERE: Final = request(
    b"Content-Length: %d" % len(SMUGGLED), line=b"POST /nowhere HTTP/1.1", body=SMUGGLED
)
_H2C: Final = (b"Connection: Upgrade", b"Upgrade: h2c")

SEQUENCES: Final = (
    taken("two requests at once", _POST + _POST, seen(), seen()),
    taken("lengths and chunks in turn", _POST + _CHUNKS + _POST + _CHUNKS, *[seen()] * 4),
    taken("twenty requests at once", _POST * 20, *[seen()] * 20),
    taken("an empty line between requests", _POST + b"\r\n" + _POST, seen(), seen()),
    taken("a request without a body, then one with", _MODELS + _POST, _SEEN_MODELS, seen()),
    Case("a good one, then garbage", _POST + b"\x00" + MARK, (200, 400), forwarded=(seen(),)),
    Case("a good one in chunks, then garbage", _CHUNKS + b"\x00" + MARK, (200, 400), forwarded=(seen(),)),
    Case(
        "a good one, then a line of two spaces",
        _POST + _POST.replace(b"POST ", b"POST  "),
        (200, 400),
        forwarded=(seen(),),
    ),
    Case(
        "a good one, then RTSP",
        _POST + _POST.replace(b"HTTP/1.1", b"RTSP/1.1"),
        (200, 400),
        forwarded=(seen(),),
    ),
    Case(
        "a good one, then a bad length",
        _POST + request(b"Content-Length: +5", body=SMUGGLED),
        (200, 400),
        forwarded=(seen(),),
    ),
    Case("a good one, then a bare LF", _POST + b"\n" + _POST, (200, 400), forwarded=(seen(),)),
    Case(
        "a body longer than its length", request(LENGTH, body=BODY + b"{}"), (200, 400), forwarded=(seen(),)
    ),
    Case(
        "a body shorter than its length eats the next",
        request(b"Content-Length: %d" % (len(BODY) + len(_POST)), body=BODY + _POST),
        (400,),
        kept=True,
    ),
    Case(
        "one for nobody whose body is a request", _NOWHERE + _POST, (404, 200), kept=True, forwarded=(seen(),)
    ),
    Case(
        "one for nobody in chunks, then a request",
        request(CHUNKED, line=b"POST /nowhere HTTP/1.1", body=b"0\r\n\r\n") + _POST,
        (404,),
    ),
    Case("a refusal, then a request", request(b"Content-Length: x") + SMUGGLED, (400,)),
    Case(
        "after Connection: close comes nothing",
        request(b"Connection: close", LENGTH, body=BODY) + SMUGGLED,
        (200,),
        forwarded=(seen(),),
        at_once=True,
    ),
    Case(
        "after HTTP/1.0 comes nothing",
        request(LENGTH, line=LINE[:-1] + b"0", body=BODY) + SMUGGLED,
        (200,),
        forwarded=(seen(),),
        at_once=True,
    ),
    taken(
        "an offer of HTTP/2 with a body, then a request",
        request(*_H2C, LENGTH, body=BODY) + _POST,
        seen(),
        seen(),
    ),
    taken(
        "an offer of HTTP/2 in chunks, then a request",
        request(*_H2C, CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)) + _POST,
        seen(),
        seen(),
    ),
    Case(
        "an offer of HTTP/2, then its preface",
        request(*_H2C, LENGTH, body=BODY) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (200, 400),
        forwarded=(seen(),),
    ),
    Case(
        "a request that waits for 100, then another",
        request(b"Expect: 100-continue", LENGTH) + BODY + _POST,
        (200, 200),
        kept=True,
        forwarded=(seen(), seen()),
    ),
    Case(
        "a body that is JSON and then a request",
        request(b"Content-Length: %d" % len(BODY + SMUGGLED), body=BODY + SMUGGLED),
        (400,),
        kept=True,
    ),
    taken(
        "a GET whose body is a request",
        request(b"Content-Length: %d" % len(SMUGGLED), line=_MODELS_LINE, body=SMUGGLED) + _POST,
        _SEEN_MODELS,
        seen(),
    ),
    Case(
        "a preflight whose body is a request",
        request(b"Content-Length: %d" % len(SMUGGLED), line=b"OPTIONS /v1/models HTTP/1.1", body=SMUGGLED)
        + _POST,
        (405, 200),
        kept=True,
        forwarded=(seen(),),
    ),
    Case(
        "a HEAD whose body is a request",
        request(b"Content-Length: %d" % len(SMUGGLED), line=b"HEAD /v1/models HTTP/1.1", body=SMUGGLED)
        + _POST,
        (405, 200),
        kept=True,
        head_first=True,
        forwarded=(seen(),),
    ),
)

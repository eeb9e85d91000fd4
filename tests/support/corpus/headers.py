"""Header lines: names and values that two readers could take differently, and what of them goes up."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import (
    BODY,
    CHAT,
    CHUNKED,
    HOST,
    LENGTH,
    LINE,
    MARK,
    Case,
    refused,
    request,
    seen,
    taken,
)

_FIRST: Final = b"Content-Type: application/json"
_HTTP_1_0: Final = b"POST " + CHAT + b" HTTP/1.0"


def _bad(name: str, *lines: bytes) -> Case:
    return refused(f"header {name}", request(*lines, LENGTH, body=BODY))


def _host(name: str, *hosts: bytes) -> Case:
    return refused(f"host {name}", request(*hosts, LENGTH, host=None, body=BODY))


def _stays(name: str, *lines: bytes) -> Case:
    """The upstream does not see these lines."""
    return taken(f"{name} stays here", request(_FIRST, *lines, LENGTH, body=BODY), seen(_FIRST))


def _goes(name: str, *lines: bytes) -> Case:
    return taken(f"{name} goes up", request(*lines, LENGTH, body=BODY), seen(*lines))


HEADERS: Final = (
    # names
    _bad("with a space before the colon", b"X-A : " + MARK),
    _bad("with a tab before the colon", b"X-A\t: " + MARK),
    _bad("with a space in its name", b"X A: " + MARK),
    _bad("without a name", b": " + MARK),
    _bad("without a colon", b"X-A " + MARK),
    _bad("of its name alone", MARK),
    _bad("with parentheses in its name", b"X(A): " + MARK),
    _bad("with a slash in its name", b"X/A: " + MARK),
    _bad("with brackets in its name", b"X[A]: " + MARK),
    _bad("with a quote in its name", b'X"A: ' + MARK),
    _bad("with a NUL in its name", b"X\x00A: " + MARK),
    _bad("with a control character in its name", b"X\x01A: " + MARK),
    _bad("with DEL in its name", b"X\x7fA: " + MARK),
    _bad("with a name beyond ASCII", b"X\xe9: " + MARK),
    _bad("with a name in UTF-8", b"X\xc3\xa9: " + MARK),
    _bad("with bare CR in its name", b"X\rA: " + MARK),
    _bad("with bare LF in its name", b"X\nA: " + MARK),
    # values
    _bad("with a NUL in its value", b"X-A: a\x00" + MARK),
    _bad("with a control character in its value", b"X-A: a\x01" + MARK),
    _bad("with an escape in its value", b"X-A: a\x1b[31m" + MARK),
    _bad("with a backspace in its value", b"X-A: a\x08" + MARK),
    _bad("with a vertical tab in its value", b"X-A: a\x0b" + MARK),
    _bad("with a form feed in its value", b"X-A: a\x0c" + MARK),
    _bad("with DEL in its value", b"X-A: a\x7f" + MARK),
    _bad("with bare CR in its value", b"X-A: a\r" + MARK),
    _bad("with bare LF in its value", b"X-A: a\nX-B: " + MARK),
    _bad("with CR CR LF at its end", b"X-A: " + MARK + b"\r"),
    _bad("with a length behind bare CR", b"X-A: a\rContent-Length: 5"),
    _bad("with an encoding behind bare LF", b"X-A: a\nTransfer-Encoding: chunked"),
    _bad("with a key and a control character", b"Authorization: Bearer sk-\x01" + MARK),
    _bad("folded with a space", b"X-A: a", b" " + MARK),
    _bad("folded with a tab", b"X-A: a", b"\t" + MARK),
    _bad("folded with nothing", b"X-A: a", b" "),
    _bad("folded from its beginning", b"X-A:", b" " + MARK),
    refused("header folded first", b"\r\n".join([LINE, b" X-A: b", HOST, LENGTH, b"", BODY])),
    refused("an end of the head with bare LF", request(LENGTH)[:-2] + b"\n" + BODY),
    refused("an end of the head with bare CR", request(LENGTH)[:-1] + BODY),
    # Host
    _host("missing"),
    _host("twice", HOST, b"Host: other.test"),
    _host("twice the same", HOST, HOST),
    _host("empty", b"Host:"),
    _host("with a space", b"Host: a b"),
    _host("with a path", b"Host: weir.test/v1"),
    _host("with a user", b"Host: user@weir.test"),
    _host("with a comma", b"Host: weir.test, other.test"),
    _host("with two ports", b"Host: weir.test:80:81"),
    _host("with a port of letters", b"Host: weir.test:http"),
    _host("with a port that is none", b"Host: weir.test:999999"),
    _host("with a bracket that does not close", b"Host: [::1"),
    _host("with a question mark", b"Host: weir.test?" + MARK),
    _host("with a fragment", b"Host: weir.test#" + MARK),
    _host("with a backslash", b"Host: weir.test\\other"),
    _host("with a percent sign", b"Host: weir%2etest"),
    _host("beyond ASCII", b"Host: w\xe9ir.test"),
    _host("with a space before its colon", b"Host : weir.test"),
    _host("of 300 letters", b"Host: " + b"a" * 300),
    taken(
        "a host with a port",
        request(b"Host: weir.test:8001", LENGTH, host=None, body=BODY),
        seen(host=b"weir.test:8001"),
    ),
    taken(
        "a host of IPv6", request(b"Host: [::1]:8001", LENGTH, host=None, body=BODY), seen(host=b"[::1]:8001")
    ),
    taken(
        "HTTP/1.0 without a host",
        request(LENGTH, line=_HTTP_1_0, host=None, body=BODY),
        seen(host=b""),
        kept=False,
    ),
    # once only
    _bad("Authorization twice", b"Authorization: Bearer a", b"Authorization: Bearer " + MARK),
    _bad("x-api-key twice", b"x-api-key: a", b"X-API-Key: " + MARK),
    _bad("Content-Type twice", b"Content-Type: application/json", b"Content-Type: text/" + MARK),
    _bad("Expect twice", b"Expect: 100-continue", b"Expect: 100-continue"),
    refused("an Expect of something else", request(LENGTH, b"Expect: " + MARK, body=BODY), 417),
    # what is of this hop, or ours, or would be believed
    _stays("Connection", b"Connection: keep-alive"),
    _stays("what Connection names", b"Connection: X-Hop", b"X-Hop: " + MARK),
    _stays("what a second Connection names", b"Connection: keep-alive", b"Connection: X-Hop", b"X-Hop: a"),
    _stays("what Connection names in another case", b"Connection: x-HOP , ,", b"X-Hop: a"),
    _stays("Keep-Alive", b"Keep-Alive: timeout=5"),
    _stays("TE", b"TE: gzip, trailers;q=1"),
    taken(
        "TE for trailers, which we take ourselves",
        request(_FIRST, b"TE: gzip, Trailers", LENGTH, body=BODY),
        seen(_FIRST, trailers=True),
    ),
    _stays("Trailer", b"Trailer: X-A"),
    _stays("Proxy-Authorization", b"Proxy-Authorization: Basic " + MARK),
    _stays("Proxy-Connection", b"Proxy-Connection: keep-alive"),
    _stays(
        "an offer of HTTP/2",
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABk",
    ),
    _stays("an offer of WebSocket", b"Connection: Upgrade", b"Upgrade: websocket"),
    _stays("an offer that Connection does not name", b"Upgrade: h2c"),
    _stays("Cookie", b"Cookie: session=" + MARK),
    _stays("X-Forwarded-For", b"X-Forwarded-For: 6.6.6.6"),
    _stays("X-Forwarded-For, twice", b"X-Forwarded-For: 6.6.6.6", b"x-forwarded-for: 7.7.7.7"),
    _stays("X-Forwarded-Host", b"X-Forwarded-Host: " + MARK),
    _stays("X-Forwarded-Proto", b"X-Forwarded-Proto: https"),
    _stays("X-Forwarded-Port", b"X-Forwarded-Port: 1"),
    _stays("X-Forwarded-anything", b"X-Forwarded-Prefix: /" + MARK),
    _stays("Forwarded", b"Forwarded: for=6.6.6.6;host=" + MARK),
    _stays("X-Real-IP", b"X-Real-IP: 6.6.6.6"),
    _stays("x-weir-anything", b"X-Weir-User: " + MARK, b"x-weir-secret: a"),
    taken(
        "Connection: close, after which it closes",
        request(b"Connection: close", LENGTH, body=BODY),
        seen(),
        kept=False,
    ),
    taken(
        "a word of which close is a part, which it is not",
        request(b"Connection: x-closed", LENGTH, body=BODY),
        seen(),
    ),
    # what passes
    _goes("a value with a tab", b"X-A: a\tb"),
    _goes("a value beyond ASCII", b"X-A: caf\xe9 \xe2\x82\xac \xff"),
    _goes("an empty value", b"X-A: "),
    _goes("a value of colons", b"X-A: :::a: b"),
    _goes("a name of odd letters", b"!#$%&'*+-.^_`|~0: a"),
    _goes("a header that comes twice", b"X-A: a", b"X-A: b"),
    _goes("a name with an underscore", b"Content_Type: a"),
    _goes("a key", b"Authorization: Bearer sk-" + MARK),
    _goes("X-HTTP-Method-Override", b"X-HTTP-Method-Override: DELETE"),
    taken(
        "white space around a value stays out", request(b"X-A: \t b \t ", LENGTH, body=BODY), seen(b"X-A: b")
    ),
    taken("white space after a length stays out", request(LENGTH + b" \t", body=BODY), seen()),
    taken(
        "white space after an encoding stays out",
        request(CHUNKED + b" ", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)),
        seen(),
    ),
    taken(
        "codings that we cannot read are not asked for",
        request(b"Accept-Encoding: gzip, x-unknown, br;q=0.5", LENGTH, body=BODY),
        seen(codings=b"gzip, br;q=0.5"),
    ),
    Case(
        "Expect: 100-continue",
        request(b"Expect: 100-continue", LENGTH, body=BODY),
        (200,),
        kept=True,
        forwarded=(seen(),),
    ),
)

"""Heads of answers that are none, or could be read in two ways."""

from __future__ import annotations

from typing import Final

from tests.support.crooked.misdeed import JSON, PLAIN, Do, Misdeed, garbage, head, passed, whole

_LENGTH: Final = b"Content-Length: %d" % len(PLAIN)


def _status_line(line: bytes) -> Misdeed:
    answer = line + b"\r\n" + JSON + b"\r\n" + _LENGTH + b"\r\n\r\n" + PLAIN
    return garbage(f"status line {line.decode('latin-1')!r}", answer)


def _header(name: str, *lines: bytes) -> Misdeed:
    return garbage(f"header {name}", head(JSON, *lines, _LENGTH) + PLAIN)


HEADS: Final = (
    _status_line(b"SSH-2.0-OpenSSH_9.2"),
    _status_line(b"220 mail.test ESMTP"),
    _status_line(b"ICY 200 OK"),
    _status_line(b"RTSP/1.0 200 OK"),
    _status_line(b"ICE/1.0 200 OK"),
    _status_line(b"http/1.1 200 OK"),
    _status_line(b"HTTP/2.0 200 OK"),
    _status_line(b"HTTP/0.9 200 OK"),
    _status_line(b"HTTP/1.2 200 OK"),
    _status_line(b"HTTP/1.1 OK"),
    _status_line(b"HTTP/1.1 20 OK"),
    _status_line(b"HTTP/1.1 2000 OK"),
    _status_line(b"HTTP/1.1 -200 OK"),
    _status_line(b"HTTP/1.1 000 OK"),
    _status_line(b"HTTP/1.1 099 OK"),
    _status_line(b"HTTP/1.1 600 OK"),
    _status_line(b"HTTP/1.1 999 OK"),
    _status_line(b"HTTP/1.1 20\xb2 OK"),
    _status_line(b"HTTP/1.1 200 O\x00K"),
    _status_line(b"HTTP/1.1 200 O\x1b[31mK"),
    _status_line(b"HTTP/1.1 200 O\rK"),
    _status_line(b"HTTP/1.1 200 " + b"x" * 100_000),
    _status_line(b"POST /v1/chat/completions HTTP/1.1"),
    garbage("bytes that are no text", bytes(range(256))),
    garbage("TLS", b"\x15\x03\x03\x00\x02\x02\x28"),
    garbage("lines that end with bare LF", whole().replace(b"\r\n", b"\n")),
    garbage("lines that end with bare CR", whole().replace(b"\r\n", b"\r")),
    _header("with a space before the colon", b"X-A : b"),
    _header("without a name", b": b"),
    _header("without a colon", b"X-A"),
    _header("with a space in its name", b"X A: b"),
    _header("with a name beyond ASCII", b"X\xe9: b"),
    _header("with a NUL", b"X-A: \x00"),
    _header("with a control character", b"X-A: \x01"),
    _header("with bare CR", b"X-A: a\rX-B: b"),
    _header("with bare LF", b"X-A: a\nX-B: b"),
    _header("folded", b"X-A: a", b" b"),
    _header("folded with a tab", b"X-A: a", b"\tb"),
    _header("of 100 kB", b"X-A: " + b"x" * 100_000),
    _header("of too many", *[b"X-A: b"] * 300),
    garbage("headers without end", head(JSON)[:-2] + b"X-A: bbbbbbbbbbbbbbbb\r\n" * 5000, Do.STALL),
    garbage("a header without end", head(JSON)[:-2] + b"X-A: " + b"x" * 100_000, Do.STALL),
    # interim answers
    garbage("a flood of 100", b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + whole()),
    garbage("a flood of 103", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20 + whole()),
    garbage(
        "a flood of large 103",
        (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 15_000 + b"\r\n\r\n") * 8 + whole(),
    ),
    garbage(
        "101 that nobody asked for",
        head(b"Upgrade: h2c", b"Connection: Upgrade", status=b"101 Switching Protocols") + whole(),
    ),
    garbage(
        "an interim answer with a length",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 6\r\n\r\npoison" + whole(),
    ),
    garbage(
        "an interim answer in chunks",
        b"HTTP/1.1 103 Hi\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + whole(),
    ),
    passed(
        "a few interim answers",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 103 Hi\r\nX-A: b\r\n\r\n" + whole(),
    ),
    # odd, but heads
    passed("a status line without a reason", head(JSON, _LENGTH, status=b"200 ") + PLAIN),
    passed("a status line that ends with the status", head(JSON, _LENGTH, status=b"200") + PLAIN),
    passed("a reason beyond ASCII", head(JSON, _LENGTH, status=b"200 \xc3\xa9") + PLAIN),
    passed("a header in a byte at a time", *[bytes([byte]) for byte in whole()]),
    Misdeed("a head that ends early", (head(JSON)[:-2], Do.FIN), error_type="upstream_disconnected"),
    Misdeed("a head that is reset", (head(JSON)[:-2], Do.RESET), error_type="upstream_disconnected"),
    Misdeed("nothing, then the end", (Do.FIN,), error_type="upstream_disconnected"),
    Misdeed("nothing, then a reset", (Do.RESET,), error_type="upstream_disconnected"),
    Misdeed("nothing at all", (Do.STALL,), 504, outcome="timeout", error_type="upstream_timeout"),
    Misdeed(
        "half a head and no more",
        (head(JSON)[:-2], Do.STALL),
        504,
        outcome="timeout",
        error_type="upstream_timeout",
    ),
    Misdeed(
        "interim answers and no more",
        (b"HTTP/1.1 100 Continue\r\n\r\n", Do.STALL),
        504,
        outcome="timeout",
        error_type="upstream_timeout",
    ),
    Misdeed(
        "headers that are not the client's to see",
        (
            whole(
                PLAIN,
                b"Set-Cookie: a=b",
                b"Server: secret/1.0",
                b"Alt-Svc: h3=':443'",
                b"Strict-Transport-Security: max-age=1",
                b"Access-Control-Allow-Origin: *",
                b"Access-Control-Allow-Credentials: true",
                b"Connection: X-Hop, keep-alive",
                b"X-Hop: a",
                b"Keep-Alive: timeout=5",
                b"Proxy-Authenticate: Basic",
                b"Trailer: X-T",
                b"Upgrade: h2c",
                b"X-Weir-Request-Id: forged",
                b"X-Weir-Secret: forged",
            ),
        ),
        200,
        PLAIN,
        outcome="completed",
        error_type=None,
        without=(
            *("set-cookie", "server", "alt-svc", "strict-transport-security", "access-control-allow-origin"),
            *(
                "access-control-allow-credentials",
                "x-hop",
                "keep-alive",
                "proxy-authenticate",
                "trailer",
                "upgrade",
            ),
            "x-weir-secret",
        ),
        connection_ends=False,
    ),
)

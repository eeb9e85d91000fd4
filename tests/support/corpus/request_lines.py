"""The first line: method, one space, target, one space, version; nothing else."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import (
    BODY,
    CHAT,
    LENGTH,
    MARK,
    Case,
    refused,
    request,
    seen,
    taken,
    turned_away,
)


def _line(name: str, line: bytes, status: int = 400) -> Case:
    return refused(f"line {name}", request(LENGTH, line=line, body=BODY), status)


def _version(text: bytes, status: int = 400) -> Case:
    line = b"POST " + CHAT + b" " + text
    return _line(f"with version {text.decode('latin-1')}", line, status)


REQUEST_LINES: Final = (
    _version(b"HTTP/2.0"),
    _version(b"HTTP/3.0"),
    _version(b"HTTP/0.9"),
    _version(b"HTTP/1.2"),
    _version(b"HTTP/1.9"),
    _version(b"HTTP/9.9"),
    _version(b"HTTP/1"),
    _version(b"HTTP/1."),
    _version(b"HTTP/.1"),
    _version(b"HTTP/1.10"),
    _version(b"HTTP/01.1"),
    _version(b"HTTP/1,1"),
    _version(b"HTTP/1.1 "),
    _version(b"HTTP/1.1\t"),
    _version(b"HTTP/1.1;"),
    _version(b"HTTP/+1.1"),
    _version(b"http/1.1"),
    _version(b"HTTP 1.1"),
    _version(b"HTTPS/1.1"),
    _version(b"RTSP/1.0"),
    _version(b"RTSP/1.1"),
    _version(b"ICE/1.0"),
    _version(b"HTTP/1.\xb9"),
    _line("without a version", b"POST " + CHAT),
    _line("without a version, with a space", b"POST " + CHAT + b" "),
    _line("without a target", b"POST HTTP/1.1"),
    _line("with a method alone", b"POST"),
    _line("empty but for a space", b" "),
    _line("with a space before it", b" POST " + CHAT + b" HTTP/1.1"),
    _line("with two spaces after the method", b"POST  " + CHAT + b" HTTP/1.1"),
    _line("with two spaces after the target", b"POST " + CHAT + b"  HTTP/1.1"),
    _line("with a tab after the method", b"POST\t" + CHAT + b" HTTP/1.1"),
    _line("with a tab after the target", b"POST " + CHAT + b"\tHTTP/1.1"),
    _line("with a space in the target", b"POST " + CHAT + b" x HTTP/1.1"),
    _line("with bare LF", b"POST " + CHAT + b" HTTP/1.1\nX-Line: " + MARK),
    _line("with bare CR", b"POST " + CHAT + b" HTTP/1.1\rX-Line: " + MARK),
    _line("with CR CR LF", b"POST " + CHAT + b" HTTP/1.1\r"),
    _line("with a NUL in the method", b"PO\x00ST " + CHAT + b" HTTP/1.1"),
    _line("with a method in lower case", b"post " + CHAT + b" HTTP/1.1"),
    _line("with a method of punctuation", b"P(ST " + CHAT + b" HTTP/1.1"),
    _line("with the mark as its method", MARK + b" " + CHAT + b" HTTP/1.1"),
    _line("with a method without end", b"P" * 500 + b" " + CHAT + b" HTTP/1.1"),
    _line("CONNECT to a host", b"CONNECT weir.test:443 HTTP/1.1"),
    _line("CONNECT to a path", b"CONNECT " + CHAT + b" HTTP/1.1"),
    _line("PRI, the preface of HTTP/2", b"PRI * HTTP/2.0"),
    refused("lines ended by bare LF", request(LENGTH, body=BODY).replace(b"\r\n", b"\n")),
    refused("lines ended by bare CR", request(LENGTH, body=BODY).replace(b"\r\n", b"\r")),
    refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARK + bytes(range(64))),
    refused("SSH", b"SSH-2.0-OpenSSH_9.2 " + MARK + b"\r\n"),
    refused("SMTP", b"EHLO " + MARK + b"\r\n"),
    refused("SOCKS 5", b"\x05\x01\x00" + MARK),
    refused(
        "PROXY protocol that nobody asked for",
        b"PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\n" + request(LENGTH, body=BODY),
    ),
    refused(
        "PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + request(LENGTH, body=BODY)
    ),
    refused("a byte order mark", b"\xef\xbb\xbf" + request(LENGTH, body=BODY)),
    refused("a NUL before it", b"\x00" + request(LENGTH, body=BODY)),
    refused("bare LF before it", b"\n" + request(LENGTH, body=BODY)),
    refused("bare CR before it", b"\r" + request(LENGTH, body=BODY)),
    refused("a status line", b"HTTP/1.1 200 OK\r\nX-Mark: " + MARK + b"\r\n\r\n"),
    taken("one empty line before it", b"\r\n" + request(LENGTH, body=BODY), seen()),
    taken(
        "HTTP/1.0, which closes",
        request(LENGTH, line=b"POST " + CHAT + b" HTTP/1.0", body=BODY),
        seen(),
        kept=False,
    ),
    taken(
        "HTTP/1.0 that asks to stay",
        request(LENGTH, b"Connection: keep-alive", line=b"POST " + CHAT + b" HTTP/1.0", body=BODY),
        seen(),
    ),
    turned_away(
        "a method that the endpoint does not take", request(line=b"DELETE " + CHAT + b" HTTP/1.1"), 405
    ),
    *(
        turned_away(f"the method {method.decode()}", request(line=method + b" " + CHAT + b" HTTP/1.1"), 405)
        for method in (b"TRACE", b"TRACK", b"STEAL", b"DESCRIBE", b"PUT", b"PATCH", b"GET", b"PROPFIND")
    ),
    turned_away("OPTIONS of nobody's origin", request(line=b"OPTIONS " + CHAT + b" HTTP/1.1"), 405),
)

"""Answers that send the client elsewhere or tell it of the connection: passed on, never followed."""

from __future__ import annotations

from typing import Final

from tests.support.crooked.misdeed import PLAIN, Misdeed, whole

_ERROR: Final = b'{"error":{"message":"no","type":"t","param":null,"code":"c"}}'


def _redirect(status: bytes, location: bytes) -> Misdeed:
    return Misdeed(
        f"{status.decode()} to {location.decode('latin-1')}",
        (whole(b"{}", b"Location: " + location, status=status + b" Moved"),),
        int(status),
        b"{}",
        outcome="completed",
        error_type=None,
        connection_ends=False,
    )


def _error(status: bytes, body: bytes, *lines: bytes, outcome: str, error_type: str) -> Misdeed:
    return Misdeed(
        f"{status.decode()} with {body[:12].decode('latin-1')!r} and {len(lines)} headers",
        (whole(body, *lines, status=status),),
        int(status[:3]),
        body,
        outcome=outcome,
        error_type=error_type,
        connection_ends=False,
    )


CONNECTIONS: Final = (
    _redirect(b"301", b"http://169.254.169.254/latest/meta-data"),
    _redirect(b"302", b"http://127.0.0.1:1/"),
    _redirect(b"303", b"/v1/models"),
    _redirect(b"307", b"file:///etc/passwd"),
    _redirect(b"308", b"//elsewhere.test/"),
    _error(b"401 Unauthorized", _ERROR, b"WWW-Authenticate: Bearer", outcome="client_error", error_type="c"),
    _error(b"429 Too Many", _ERROR, b"Retry-After: 1", outcome="client_error", error_type="c"),
    _error(b"500 Oops", b"<html>\x00\xff</html>", outcome="upstream_error", error_type="http_500"),
    _error(b"500 Oops", b"", outcome="upstream_error", error_type="http_500"),
    _error(b"503 Busy", b'{"error":' * 5000, outcome="upstream_error", error_type="http_503"),
    _error(b"400 No", b'{"error":{"message":1,"code":{}}}', outcome="client_error", error_type="http_400"),
    _error(b"400 No", b'{"error":"' + b"x" * 100_000 + b'"}', outcome="client_error", error_type="http_400"),
    _error(
        b"418 Teapot", b'{"error":{"code":"\\u0000\\ud800"}}', outcome="client_error", error_type="http_418"
    ),
    _error(b"599 Odd", PLAIN, outcome="upstream_error", error_type="http_599"),
)

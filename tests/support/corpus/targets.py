"""Where to? Only the raw paths of the table; the query goes up as it came."""

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


def _unknown(target: bytes) -> Case:
    """No path of ours, however it might be read once it is normalised."""
    raw = request(LENGTH, line=b"POST " + target + b" HTTP/1.1", body=BODY)
    return turned_away(f"target {target.decode('latin-1')!r}", raw)


def _bad(name: str, target: bytes) -> Case:
    """No path at all."""
    raw = request(LENGTH, line=b"POST " + target + b" HTTP/1.1", body=BODY)
    return refused(f"target {name}", raw)


def _query(query: bytes) -> Case:
    line = b"POST " + CHAT + query + b" HTTP/1.1"
    return taken(f"query {query.decode()!r}", request(LENGTH, line=line, body=BODY), seen(line=line))


TARGETS: Final = (
    _unknown(b"/"),
    _unknown(b"/" + MARK),
    _unknown(b"//v1/chat/completions"),
    _unknown(b"/v1//chat/completions"),
    _unknown(b"/v1/chat/completions/"),
    _unknown(b"/v1/chat/completions//"),
    _unknown(b"/./v1/chat/completions"),
    _unknown(b"/v1/./chat/completions"),
    _unknown(b"/v1/../v1/chat/completions"),
    _unknown(b"/v1/chat/../chat/completions"),
    _unknown(b"/v1/models/../chat/completions"),
    _unknown(b"/../v1/chat/completions"),
    _unknown(b"/v1/%63hat/completions"),
    _unknown(b"/%76%31/chat/completions"),
    _unknown(b"/v1%2fchat/completions"),
    _unknown(b"/v1%2Fchat%2Fcompletions"),
    _unknown(b"/v1/chat%5ccompletions"),
    _unknown(b"/v1/%2e%2e/v1/chat/completions"),
    _unknown(b"/v1/.%2e/v1/chat/completions"),
    _unknown(b"/v1/%252e%252e/v1/chat/completions"),
    _unknown(b"/v1/chat/completions%00"),
    _unknown(b"/v1/chat/completions%00.png"),
    _unknown(b"/v1/chat/completions%20"),
    _unknown(b"/v1/chat/completions%0d%0aX-Injected:%201"),
    _unknown(b"/v1/chat/completions%3fa=b"),
    _unknown(b"/v1/chat/completions%23"),
    _unknown(b"/v1/chat/completions%"),
    _unknown(b"/v1/chat/completions%zz"),
    _unknown(b"/v1/chat/completions%c0%af"),
    _unknown(b"/v1/chat/completions;a=b"),
    _unknown(b"/v1/chat;/completions"),
    _unknown(b"/v1;x/chat/completions"),
    _unknown(b"/v1\\chat\\completions"),
    _unknown(b"/v1/chat\\completions"),
    _unknown(b"/v1/..\\v1/chat/completions"),
    _unknown(b"/V1/chat/completions"),
    _unknown(b"/v1/Chat/Completions"),
    _unknown(b"/V1/CHAT/COMPLETIONS"),
    _unknown(b"/v1/chat/completions&a=b"),
    _unknown(b"/v1/chat/completions,"),
    _unknown(b"/v1/chat/completions."),
    _unknown(b"/v1/chat/completions~"),
    _unknown(b"/healthz"),
    _unknown(b"/readyz"),
    _unknown(b"/metrics"),
    _unknown(b"/admin"),
    _unknown(b"/v1"),
    _unknown(b"/v1/"),
    _unknown(b"/v1/models/"),
    _unknown(b"/v1/models/.."),
    _unknown(b"/v1/models/."),
    _unknown(b"/v1/models/a/../b"),
    _unknown(b"/v1/models/a//b"),
    _unknown(b"/v1/models/%2e%2e"),
    _unknown(b"/v1/models/a%2fb"),
    _unknown(b"/v1/files"),
    _unknown(b"/v1/responses/resp_1"),
    _bad("absolute, of this host", b"http://weir.test/v1/chat/completions"),
    _bad("absolute, of another host", b"http://elsewhere.test/v1/chat/completions"),
    _bad("absolute, with TLS", b"https://weir.test/v1/chat/completions"),
    _bad("absolute, with a user", b"http://weir.test@elsewhere.test/v1/chat/completions"),
    _bad("absolute, of a file", b"file:///etc/passwd"),
    _bad("absolute, of the metadata service", b"http://169.254.169.254/latest/meta-data"),
    _bad("absolute, without a host", b"http:///v1/chat/completions"),
    _bad("absolute, in capitals", b"HTTP://weir.test/v1/chat/completions"),
    _bad("as an authority", b"weir.test:80"),
    _bad("as a star", b"*"),
    _bad("without a slash", b"v1/chat/completions"),
    _bad("beginning with a backslash", b"\\v1/chat/completions"),
    _bad("beginning with a dot", b"./v1/chat/completions"),
    _bad("beginning with a question mark", b"?a=b"),
    _bad("with a fragment", CHAT + b"#fragment"),
    _bad("with a fragment in its query", CHAT + b"?a=b#" + MARK),
    _bad("with a NUL", CHAT + b"\x00"),
    _bad("with a control character", CHAT + b"\x01"),
    _bad("with a control character in its query", CHAT + b"?\x01"),
    _bad("with DEL", CHAT + b"?\x7f"),
    _bad("with a byte beyond ASCII", CHAT + b"?\xe9"),
    _bad("with UTF-8", CHAT + b"?\xc3\xa9"),
    _bad("with a tab", CHAT + b"?a\tb"),
    _bad("with a form feed", CHAT + b"?a\x0cb"),
    _bad("with a vertical tab", CHAT + b"?a\x0bb"),
    _bad("with a carriage return", CHAT + b"?a\rb"),
    _bad("with a line feed", CHAT + b"?a\nb"),
    _query(b"?"),
    _query(b"?a=b&c=d"),
    _query(b"??a=b"),
    _query(b"?a=%0d%0aX-Injected:%201"),
    _query(b"?a=%00%2f..%2f"),
    _query(b"?url=http://169.254.169.254/"),
    _query(b"?a=/../../v1/models"),
    _query(b"?q=" + MARK),
)

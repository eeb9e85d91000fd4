"""Which trailers go on: none that a recipient might act on as if it had stood in the head."""

from __future__ import annotations

import pytest
from tests.support.transport import headers

from weir.proxy.wire.heads import LAST_CHUNK
from weir.proxy.wire.trailers import last_chunk_down, last_chunk_up

NEITHER = (
    *("Content-Length", "Transfer-Encoding", "Host", "Connection", "TE", "Trailer", "Upgrade", "Expect"),
    *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Set-Cookie", "Cache-Control", "Range"),
    *("If-Match", "Content-Type", "Content-Encoding", "Content-Range", "Date", "Location", "Retry-After"),
    *("X-Weir-User", "x-weir-request-id"),
)


@pytest.mark.parametrize("name", [*NEITHER, "Cookie", "X-API-Key", "X-Forwarded-For", "traceparent"])
def test_what_does_not_go_up(name: str) -> None:
    assert last_chunk_up(headers(f"{name}: 1")) == LAST_CHUNK
    assert last_chunk_up(headers(f"{name}: 1", "X-A: b", f"{name.lower()}: 2")) == b"0\r\nX-A: b\r\n\r\n"


@pytest.mark.parametrize("name", [*NEITHER, "Server", "Alt-Svc", "Access-Control-Allow-Origin"])
def test_what_does_not_come_down(name: str) -> None:
    assert last_chunk_down(headers(f"{name}: 1"), altered=False) == LAST_CHUNK


def test_the_others_go_on_as_they_came() -> None:
    fields = headers("X-Checksum: 1a", "grpc-status: 0", "x-checksum: 2b", "Content-Digest: sha-256=:x:")
    lines = b"X-Checksum: 1a\r\ngrpc-status: 0\r\nx-checksum: 2b\r\n"
    digest = b"Content-Digest: sha-256=:x:\r\n"
    assert last_chunk_up(fields) == b"0\r\n" + lines + digest + b"\r\n"
    assert last_chunk_down(fields, altered=False) == b"0\r\n" + lines + digest + b"\r\n"
    assert last_chunk_down(fields, altered=True) == b"0\r\n" + lines + b"\r\n"
    assert last_chunk_up([]) == LAST_CHUNK

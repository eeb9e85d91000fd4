"""Which web pages may call the proxy from a browser: none, unless the operator names their origins.

Protocol: WHATWG Fetch, section "CORS protocol". No credentials are ever allowed, so keys go in headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weir.proxy.exchange import RequestHead

ANY: Final = "*"
_MAX_AGE: Final = b"Access-Control-Max-Age: 600\r\n"
_EXPOSED: Final = b"Access-Control-Expose-Headers: x-weir-request-id, x-request-id, Retry-After\r\n"


class Cors:
    """The operator's origins."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)
        self._any = ANY.encode() in self._origins

    def headers(self, head: RequestHead) -> bytes:
        """Header lines for a response to this request; none where its origin is not allowed."""
        allowed = self._allowed(head)
        return (
            b""
            if allowed is None
            else b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n%b" % (allowed, _EXPOSED)
        )

    def preflight(self, head: RequestHead, methods: Iterable[bytes]) -> bytes | None:
        """The whole answer to a preflight request; None if this is none, or from an origin not allowed."""
        allowed = self._allowed(head)
        wanted = head.fields.get(b"access-control-request-method")
        if head.method != b"OPTIONS" or allowed is None or wanted is None:
            return None
        asked = head.fields.get(b"access-control-request-headers", b"")
        headers = b"Access-Control-Allow-Headers: %b\r\n" % asked if asked else b""
        return (
            b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: %b\r\nVary: Origin\r\n"
            b"Access-Control-Allow-Methods: %b\r\n%b%b\r\n"
            % (allowed, b", ".join(methods), headers, _MAX_AGE)
        )

    def _allowed(self, head: RequestHead) -> bytes | None:
        origin = head.fields.get(b"origin")
        if origin is None or not self._origins:
            return None
        if self._any:
            return ANY.encode()
        return origin if origin in self._origins else None

"""Trailers: fields after a chunked body (RFC 9110 section 6.5). They go on where the next hop has chunks.

What frames, routes, authorizes or describes the body has to stand before it. In a trailer it is left out, as
is whatever would not go on as a header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.proxy.wire.heads import KEYS, LAST_CHUNK, NEVER_DOWN, NEVER_DOWN_BEGIN, NEVER_UP, NEVER_UP_BEGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    Fields = Sequence[tuple[bytes, bytes, bytes]]

_NEVER: Final = frozenset(
    b"""age authorization cache-control content-encoding content-location content-range content-type date
    expires if-match if-modified-since if-none-match if-range if-unmodified-since location max-forwards pragma
    range retry-after set-cookie tracestate vary warning www-authenticate""".split()
)
_UP: Final = _NEVER | NEVER_UP | KEYS
_DOWN: Final = _NEVER | NEVER_DOWN
_DIGESTS: Final = frozenset({b"content-digest", b"content-md5", b"digest", b"etag", b"repr-digest"})
"""No longer true of a body that was altered."""


def last_chunk_up(fields: Fields) -> bytes:
    """The end of a chunked request, with those of a client's trailers that may go up."""
    return _last_chunk(fields, _UP, NEVER_UP_BEGIN)


def last_chunk_down(fields: Fields, *, altered: bool) -> bytes:
    """The end of a chunked response, with those of an upstream's trailers that may come down.

    `altered`: the body is not the upstream's to the byte.
    """
    return _last_chunk(fields, _DOWN | _DIGESTS if altered else _DOWN, NEVER_DOWN_BEGIN)


def _last_chunk(fields: Fields, never: frozenset[bytes], begin: tuple[bytes, ...]) -> bytes:
    lines = [
        b"%b: %b\r\n" % (name, value)
        for lower, name, value in fields
        if lower not in never and not lower.startswith(begin)
    ]
    return b"0\r\n%b\r\n" % b"".join(lines) if lines else LAST_CHUNK

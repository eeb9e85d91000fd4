"""The heads we write, on both sides. What goes out is always framed by us, from parsed values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.proxy.wire.trace_context import read_trace
from weir.servicekit.passthrough import HOP_BY_HOP

if TYPE_CHECKING:
    from http import HTTPStatus

    from weir.proxy.exchange import RequestHead
    from weir.proxy.upstream import Upstream
    from weir.proxy.wire.framing import ResponseHead

_HOP_BY_HOP: Final = frozenset(name.encode() for name in HOP_BY_HOP)
KEYS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Where clients put their key."""
_FRAMING: Final = frozenset({b"host", b"content-length", b"expect"})
NEVER_UP: Final = (
    _HOP_BY_HOP
    | _FRAMING
    | {
        b"cookie",
        b"http2-settings",
        b"accept-encoding",
        b"traceparent",
    }
)
NEVER_DOWN: Final = (
    _HOP_BY_HOP | _FRAMING | {b"set-cookie", b"server", b"alt-svc", b"strict-transport-security"}
)
_FORWARDED: Final = (b"x-forwarded-", b"forwarded", b"x-real-ip")
"""Where a request comes from, as whoever is in front tells it."""
NEVER_UP_BEGIN: Final = (b"x-weir-", *_FORWARDED)
NEVER_DOWN_BEGIN: Final = (b"access-control-", b"x-weir-")
"""CORS is ours to say; and who reads `x-weir-`, reads us."""
_EOL: Final = b"\r\n"
_TAKES_TRAILERS: Final = b"TE: trailers\r\nConnection: TE\r\n"
_READABLE: Final = (b"gzip", b"deflate", b"br", b"zstd", b"identity")
"""The codings in which we can read an answer's usage."""


class RequestWriter:
    """Writes the heads of the requests to one upstream."""

    def __init__(self, upstream: Upstream, *, pass_client_key: bool, scheme: bytes = b"http") -> None:
        """`pass_client_key`: the client's own Authorization is meant for this upstream.

        `scheme`: by which clients reach us.
        """
        address = upstream.address
        self._scheme = scheme
        self._prefix = address.prefix
        fixed = {name.lower().encode(): (name.encode(), value.encode()) for name, value in upstream.headers}
        if upstream.api_key is not None and upstream.provider == "anthropic":
            fixed[b"x-api-key"] = (b"x-api-key", upstream.api_key.encode())
        elif upstream.api_key is not None:
            fixed[b"authorization"] = (b"Authorization", b"Bearer " + upstream.api_key.encode())
        self._never: frozenset[bytes] = (
            NEVER_UP | fixed.keys() | (frozenset[bytes]() if pass_client_key else KEYS)
        )
        self._set_by_operator = frozenset(fixed)
        lines = [b"Host: " + address.authority, *(name + b": " + value for name, value in fixed.values())]
        self._fixed = b"\r\n".join(lines) + b"\r\n"

    def head(
        self,
        head: RequestHead,
        *,
        body_bytes: int | None,
        identity: bool,
        client_address: str,
        trace_line: bytes = b"",
        trusted: bool = False,
        path: bytes | None = None,
    ) -> bytes:
        """The request's head up to the empty line.

        `body_bytes`: None if it is not known, then it goes in chunks. `identity` asks for an answer that
        is not compressed; `trusted`: what the client says of where the request comes from is passed on;
        `path` replaces the client's.
        """
        if path is not None:
            lines = self._lines(head, identity, trusted, path)
        else:
            kept = head.memory.lines
            key = (self, identity, trusted)
            lines = kept.get(key) or kept.setdefault(key, self._lines(head, identity, trusted, head.path))
        if head.method == b"GET":
            return b"%b%b%b\r\n\r\n" % (lines, client_address.encode(), trace_line)
        if body_bytes is None:
            framing = b"Transfer-Encoding: chunked" + _announced(head.fields)
            return b"%b%b%b\r\n%b\r\n\r\n" % (lines, client_address.encode(), trace_line, framing)
        return b"%b%b%b\r\nContent-Length: %d\r\n\r\n" % (
            lines,
            client_address.encode(),
            trace_line,
            body_bytes,
        )

    def _lines(self, head: RequestHead, identity: bool, trusted: bool, path: bytes) -> bytes:  # noqa: FBT001 - private
        """All that is the same for each request with this head; the client's address follows."""
        never = _and_named_by_connection(self._never, head.fields)
        if b"tracestate" in head.fields and read_trace(head) is None:
            never |= {b"tracestate"}  # it is the state of a trace that nobody knows
        lines = [
            b"%b: %b\r\n" % (name, value)
            for lower, name, value in head.headers
            if lower not in never and not lower.startswith(NEVER_UP_BEGIN)
        ]
        return b"%b %b%b%b HTTP/1.1\r\n%b%bAccept-Encoding: %b\r\n%b%b" % (
            head.method,
            self._prefix,
            path,
            head.query,
            self._fixed,
            b"".join(lines),
            b"identity" if identity else _accepted_codings(head.fields),
            _TAKES_TRAILERS if _wants_trailers(head) else b"",
            self._forwarded(head, trusted),
        )

    def _forwarded(self, head: RequestHead, trusted: bool) -> bytes:  # noqa: FBT001 - private
        """Where the request comes from, up to the place of the client's address."""
        told: dict[bytes, list[bytes]] = {}
        if trusted:
            for lower, _, value in head.headers:
                if lower.startswith(_FORWARDED):
                    told.setdefault(lower, []).append(value)
        chain = b"".join(value + b", " for value in told.pop(b"x-forwarded-for", ()))
        told.setdefault(b"x-forwarded-proto", [self._scheme])
        if (host := head.fields.get(b"host")) is not None:
            told.setdefault(b"x-forwarded-host", [host])
        lines = [
            b"%b: %b\r\n" % (name.title(), b", ".join(values))
            for name, values in told.items()
            if name not in self._set_by_operator
        ]
        return b"%bX-Forwarded-For: %b" % (b"".join(lines), chain)


def response_head(
    head: ResponseHead,
    *,
    request_id: str,
    length: int | None,
    chunked: bool,
    connection: bytes | None,
    drop: frozenset[bytes],
    extra: bytes,
) -> bytes:
    """The head of a relayed response, as the client gets it.

    `drop`: headers that are no longer true. `extra`: header lines of ours.
    """
    if chunked and b"trailer" in head.fields:
        extra += _announced(head.fields)[len(_EOL) :] + _EOL
    return b"%b%b%b" % (
        head.passed or _passed(head, drop),
        extra,
        _ending(request_id, length=length, chunked=chunked, connection=connection),
    )


def goes_down(lower: bytes) -> bool:
    """Whether clients get this header of an upstream's, if nothing else in its head speaks against it."""
    return lower not in NEVER_DOWN and not lower.startswith(NEVER_DOWN_BEGIN)


def _passed(head: ResponseHead, drop: frozenset[bytes]) -> bytes:
    """The status line and the upstream's headers, as the client gets them."""
    never = _and_named_by_connection(drop, head.fields)
    lines = [
        b"%b: %b\r\n" % (name, value)
        for lower, name, value in head.headers
        if goes_down(lower) and lower not in never
    ]
    return b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, b"".join(lines))


def own_response(
    status: HTTPStatus,
    body: bytes,
    *,
    request_id: str | None,
    close: bool,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    extra: bytes = b"",
) -> bytes:
    """A whole JSON response of our own. `extra`: header lines as they are."""
    extra += b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\n%b%b%b" % (
        status.value,
        status.phrase.encode(),
        extra,
        _ending(request_id, length=len(body), chunked=False, connection=b"close" if close else None),
        body,
    )


def chunk(data: bytes) -> bytes:
    """Data as one chunk of a chunked body (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK: Final = b"0\r\n\r\n"


def _ending(request_id: str | None, *, length: int | None, chunked: bool, connection: bytes | None) -> bytes:
    if length is not None:
        framing = b"Content-Length: %d\r\n" % length
    else:
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    if connection is not None:
        framing += b"Connection: %b\r\n" % connection
    if request_id is None:
        return framing + b"\r\n"
    return b"x-weir-request-id: %b\r\n%b\r\n" % (request_id.encode(), framing)


def _and_named_by_connection(never: frozenset[bytes], fields: dict[bytes, bytes]) -> frozenset[bytes]:
    """Headers that the message's own Connection header declares to be for this hop only."""
    named = fields.get(b"connection")
    if named is None or named.lower() in {b"keep-alive", b"close"}:
        return never
    return never | {token.strip().lower() for token in named.split(b",")}


def _accepted_codings(fields: dict[bytes, bytes]) -> bytes:
    """Of the codings the client accepts, those we can read; without a wish of the client's, none."""
    accepted = fields.get(b"accept-encoding", b"")
    codings = [coding.strip() for coding in accepted.split(b",")]
    readable = [coding for coding in codings if coding.partition(b";")[0].strip().lower() in _READABLE]
    return b", ".join(readable) or b"identity"


def _wants_trailers(head: RequestHead) -> bool:
    """Whether the client takes trailers. That is for one hop to say, so we say it for ours."""
    wishes = head.fields.get(b"te")
    return wishes is not None and any(wish.strip().lower() == b"trailers" for wish in wishes.split(b","))


def _announced(fields: dict[bytes, bytes]) -> bytes:
    """Another header, after which trailers are announced as the sender does; nothing if it does not."""
    names = fields.get(b"trailer")
    return b"" if names is None else b"\r\nTrailer: " + names

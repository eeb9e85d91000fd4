"""What heads mean, on both sides, and which are refused for meaning two things. Pure: heads in, verdicts out.

Of responses, llhttp (through httptools) accepts `Transfer-Encoding: x, chunked` and heads of any size; what
it lets through and we do not want is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

import msgspec

from weir.proxy.exchange import RequestHead

Headers = list[tuple[bytes, bytes, bytes]]

_ONCE: Final = frozenset(
    {
        *(b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding", b"expect"),
        *(b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"),
    }
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_LISTS: Final = frozenset({b"connection", b"accept-encoding"})
"""Headers of which every line counts."""
_WITHOUT_BODY: Final = frozenset({int(HTTPStatus.NO_CONTENT), int(HTTPStatus.NOT_MODIFIED)})
_FIRST_FINAL: Final = 200
_LAST_FINAL: Final = 599
_MAX_LENGTH_DIGITS: Final = 18
_CONTINUE: Final = b"100-continue"
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class BadRequestError(Exception):
    """The request cannot be taken as it is framed. Nothing of it is echoed."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class BadResponseError(Exception):
    """The upstream's response cannot be trusted as it is framed."""


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How large a request head may be."""

    target_bytes: int = 8 << 10
    header_bytes: int = 16 << 10
    """One header, name and value."""
    head_bytes: int = 64 << 10
    """All headers."""
    fields: int = 100
    chunk_extension_bytes: int = 1 << 10


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """An upstream's response head after every framing check has passed."""

    status: int
    reason: bytes
    headers: Headers
    fields: dict[bytes, bytes]
    framing: Literal["length", "chunked", "close", "none"]
    """How the body ends: by its length, by chunks, with the connection, or there is none."""
    content_length: int | None
    upstream_id: bytes | None = None
    """The upstream's name for the request."""
    passed: bytes = b""
    """The status line and headers as the client gets them, where that is known; then `headers` is empty,
    and `fields` has only those that are the same in all heads of this form."""


def read_request_head(method: bytes, target: bytes, version: str, headers: Headers) -> RequestHead:
    """Check a parsed request head and digest it.

    Raises:
        BadRequestError: with the status and words of the answer.
    """
    if version not in {"1.1", "1.0"}:
        raise BadRequestError(
            HTTPStatus.BAD_REQUEST,
            "http_version",
            "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
        )
    http_11 = version == "1.1"
    fields, repeated = _fields(headers)
    for lower in repeated & _ONCE:
        raise _malformed(f"The header {lower.decode()} must not be repeated.")
    host = fields.get(b"host")
    if host is None and http_11:
        raise _malformed("The Host header is missing.")
    if host is not None and _HOST.fullmatch(host) is None:
        raise _malformed("The Host header is not a host name.")
    if not target.startswith(b"/"):
        raise _malformed("The request target must be a path.")
    path, question, query = target.partition(b"?")
    if http_11 and fields.get(b"expect", _CONTINUE).lower() != _CONTINUE:
        raise BadRequestError(
            HTTPStatus.EXPECTATION_FAILED, "expectation_failed", "The only Expect taken is 100-continue."
        )
    chunked = _is_chunked(fields, http_11=http_11)
    return RequestHead(
        method=method,
        path=path,
        query=question + query,
        headers=headers,
        fields=fields,
        content_length=_length(fields),
        chunked=chunked,
        keep_alive=_keeps_alive(fields.get(b"connection", b""), http_11=http_11),
        http_11=http_11,
    )


def read_response_head(status: int, reason: bytes, version: str, headers: Headers) -> ResponseHead:
    """Check a parsed response head and find out how its body ends.

    Raises:
        BadResponseError: framing that two readers could understand differently.
    """
    if version not in {"1.1", "1.0"}:
        raise BadResponseError("unknown version of HTTP")
    if not _FIRST_FINAL <= status <= _LAST_FINAL:
        raise BadResponseError("unknown status")
    if reason != b"OK" and _CONTROL.search(reason) is not None:
        raise BadResponseError("malformed reason")
    fields, repeated = _fields(headers)
    if repeated & _FRAMING:
        raise BadResponseError("repeated framing headers")
    length: int | None = None
    if (text := fields.get(b"content-length")) is not None:
        if not text.isdigit() or len(text) > _MAX_LENGTH_DIGITS:
            raise BadResponseError("malformed content-length")
        length = int(text)
    encoding = fields.get(b"transfer-encoding")
    if encoding is not None and (
        encoding.strip().lower() != b"chunked" or length is not None or version == "1.0"
    ):
        raise BadResponseError("ambiguous framing")
    framing: Literal["length", "chunked", "close", "none"]
    if status in _WITHOUT_BODY:
        framing = "none"
    elif encoding is not None:
        framing = "chunked"
    else:
        framing = "length" if length is not None else "close"
    # Anthropic calls it `request-id`
    upstream_id = fields.get(b"x-request-id") or fields.get(b"request-id")
    return ResponseHead(status, reason, headers, fields, framing, length, upstream_id)


def _keeps_alive(connection: bytes, *, http_11: bool) -> bool:
    options = {option.strip() for option in connection.lower().split(b",")}
    return b"close" not in options and (http_11 or b"keep-alive" in options)


def _fields(headers: Headers) -> tuple[dict[bytes, bytes], frozenset[bytes]]:
    """The headers by name, and the names that came more than once."""
    fields = {lower: value for lower, _, value in headers}
    if len(fields) == len(headers):
        return fields, frozenset()
    names = [lower for lower, _, _ in headers]
    repeated = frozenset(name for name in fields if names.count(name) > 1)
    for name in repeated & _LISTS:
        fields[name] = b", ".join(value for lower, _, value in headers if lower == name)
    return fields, repeated


def _is_chunked(fields: dict[bytes, bytes], *, http_11: bool) -> bool:
    encoding = fields.get(b"transfer-encoding")
    if encoding is None:
        return False
    if b"content-length" in fields:
        raise _malformed("Content-Length and Transfer-Encoding must not come together.")
    if not http_11 or encoding.lower() != b"chunked":
        raise _malformed("The only Transfer-Encoding taken is chunked, with HTTP/1.1.")
    return True


def _length(fields: dict[bytes, bytes]) -> int | None:
    text = fields.get(b"content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > _MAX_LENGTH_DIGITS:
        raise _malformed("Content-Length must be a decimal number.")
    return int(text)


def _malformed(message: str) -> BadRequestError:
    return BadRequestError(HTTPStatus.BAD_REQUEST, "malformed_request", message)

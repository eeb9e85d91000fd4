"""A request's body in chunks (RFC 9112 section 7.1), read strictly: no white space, no bare LF."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from weir.proxy.wire import refusals
from weir.proxy.wire.fields import END, EOL, check_begun, read_fields

if TYPE_CHECKING:
    from weir.proxy.wire.framing import BadRequestError, Headers, HeadLimits

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~]|\\[\t -~])*+"'
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})((?:;%b(?:=(?:%b|%b))?+)*+)" % (_TOKEN, _TOKEN, _QUOTED))
_BEGUN: Final = re.compile(rb"[0-9A-Fa-f]{0,16}+(?:[;\r].*)?", re.DOTALL)
_OVERHEAD: Final = 8
"""Bytes of framing that chunks may have for each byte in them; a chunk of one byte has five."""
_SIZE_DIGITS: Final = 16
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"host"})
"""No trailer may say these (RFC 9110 section 6.5.1)."""


class ChunkReader:
    """The chunks of one body."""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._left = 0
        """Bytes that are missing of the chunk, its CR LF included."""
        self._held = bytearray()
        """Of a line, or of the trailer, which is not complete."""
        self._in_trailer = False
        self.trailers: Headers = []
        """What came after the last chunk."""
        self._framing_bytes = 0
        self._body_bytes = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """The body's bytes in this, and what follows its end; None while that has not come.

        Raises:
            BadRequestError: these are no chunks.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self._in_trailer:
            at = self._take_data(data, at, pieces) if self._left else self._take_size(data, at)
        rest = self._take_trailer(data[at:]) if self._in_trailer else None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._body_bytes += len(body)
        if self._framing_bytes > self._limits.head_bytes + _OVERHEAD * self._body_bytes:
            raise refusals.malformed("There is too little in the chunks of the request's body.")
        return body, rest

    def _take_data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """The chunk's share of the data, and of the CR LF after it; where that ends."""
        size = self._left - len(EOL)
        if size > 0:
            pieces.append(data[at : at + size])
        end = data[at + max(size, 0) : at + self._left]
        if end and not EOL[len(EOL) - min(self._left, len(EOL)) :].startswith(end):
            raise _malformed()
        taken = min(self._left, len(data) - at)
        self._left -= taken
        return at + taken

    def _take_size(self, data: bytes, at: int) -> int:
        """The line before a chunk; where it ends."""
        held, most = self._held, self._limits.chunk_extension_bytes
        end = data.find(b"\n", at) + 1
        held += data[at : end or len(data)]
        if not end:
            if len(held) > _SIZE_DIGITS + most + 1 or _BEGUN.fullmatch(held) is None:
                raise _malformed()
            check_begun(held, 0)
            return len(data)
        line = _SIZE_LINE.fullmatch(held, 0, len(held) - len(EOL))
        if line is None or not held.endswith(EOL) or len(line[2]) > most:
            raise _malformed()
        size = int(line[1], 16)
        self._framing_bytes += len(held) + len(EOL)
        held.clear()
        if size:
            self._left = size + len(EOL)
        else:
            self._in_trailer = True
            held += EOL  # so that the empty line is found where there is no trailer
        return end

    def _take_trailer(self, data: bytes) -> bytes | None:
        """What follows the trailer; None while it is not whole."""
        held = self._held
        before = len(held)
        held += data
        end = held.find(END, max(before - len(END) + 1, 0))
        if end < 0:
            check_begun(held, before)
            if len(held) > self._limits.head_bytes:
                raise _malformed()
            return None
        fields = read_fields(bytes(held[len(EOL) : end + len(EOL)]))
        too_many = end > self._limits.head_bytes or len(fields) > self._limits.fields
        if too_many or any(name in _FRAMING for name, _, _ in fields):
            raise _malformed()
        self.trailers = fields
        return bytes(held[end + len(END) :])


def _malformed() -> BadRequestError:
    return refusals.malformed("The chunks of the request's body are not well-formed.")

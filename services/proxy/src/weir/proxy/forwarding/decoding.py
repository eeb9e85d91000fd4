"""Compressed answers: unpacked for their reader, and for the client only if something must come out."""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from weir.proxy.providers.provider import AnswerReader

_STEP: Final = 256 << 10
"""About what one step unpacks; the next follows only while the bounds below hold."""
_FREE: Final = 1 << 20
_MAX_RATIO: Final = 256
"""An answer may unpack to so many times its size, beyond `_FREE`. Honest JSON stays far below."""
_MAX_READ: Final = 64 << 20
"""More of an answer is not unpacked only to be read."""
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW_LOG: Final = 23
"""8 MB, the largest window that may be used over HTTP (RFC 9659)."""


class DamagedError(Exception):
    """The compressed bytes are damaged, or a bomb."""


class Unpacker(Protocol):
    """Unpacks one answer's bytes as they come."""

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, step by step: who stops asking pays for no more.

        Raises:
            DamagedError: they are not of this coding.
        """
        ...


class _Inflate(Protocol):
    """What zlib makes."""

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _Gzip:
    """Gzip, one member after the other (RFC 1952 section 2.2). What follows them is no part of the answer."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflate.eof:
                if not data.startswith(b"\x1f"):
                    return
                self._inflate = zlib.decompressobj(_GZIP)
            yield from _inflated(self._inflate, data)
            data = self._inflate.unused_data


class _Deflate:
    """Deflate with the header that it should have (RFC 9110 section 8.4.1.2), or without, as some send it."""

    def __init__(self) -> None:
        self._begin = b""
        self._inflate: _Inflate | None = None

    def unpack(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            data = self._begin = self._begin + data
            if len(data) < 2:  # noqa: PLR2004 - the header's length
                return
            with_header = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if with_header else _RAW_DEFLATE)
        if not self._inflate.eof:
            yield from _inflated(self._inflate, data)


class _Brotli:
    """Brotli (RFC 7932)."""

    def __init__(self) -> None:
        import brotli  # noqa: PLC0415 - few upstreams send it, and it is half a megabyte in each worker

        self._decompressor = cast("_BrotliDecompressor", brotli.Decompressor())
        self._error: type[Exception] = brotli.error

    def unpack(self, data: bytes) -> Iterator[bytes]:
        try:
            plain = self._decompressor.process(data, output_buffer_limit=_STEP)
            yield plain
            # Even when it would take more in, a full step may have left some to be given out.
            while len(plain) >= _STEP or not self._decompressor.can_accept_more_data():
                plain = self._decompressor.process(b"", output_buffer_limit=_STEP)
                yield plain
        except self._error as error:
            raise DamagedError(str(error)) from None


class _BrotliDecompressor(Protocol):
    """What brotli, which has no types, offers since 1.2."""

    def process(self, data: bytes, /, output_buffer_limit: int) -> bytes: ...

    def can_accept_more_data(self) -> bool: ...


class _Zstd:
    """Zstandard (RFC 8878), one frame after the other."""

    def __init__(self) -> None:
        # Few upstreams send it, and it is a megabyte in each worker.
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - only where it is needed
        else:
            from backports import zstd  # noqa: PLC0415 - only where it is needed

        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        self._make: Callable[[], Any] = lambda: zstd.ZstdDecompressor(options=options)
        self._frame = self._make()
        self._error = zstd.ZstdError

    def unpack(self, data: bytes) -> Iterator[bytes]:
        try:
            while True:
                yield self._frame.decompress(data, max_length=_STEP)
                data = b""
                if self._frame.eof:
                    data = self._frame.unused_data
                    self._frame = self._make()
                if not data and self._frame.needs_input:
                    return
        except self._error as error:
            raise DamagedError(str(error)) from None


def _inflated(inflate: _Inflate, data: bytes) -> Iterator[bytes]:
    try:
        plain = inflate.decompress(data, _STEP)
        while plain:
            yield plain
            # Even when all bytes are taken in, a full step may have left some to be given out.
            plain = inflate.decompress(inflate.unconsumed_tail, _STEP) if len(plain) == _STEP else b""
    except zlib.error as error:
        raise DamagedError(str(error)) from None


CODINGS: Final[Mapping[bytes, Callable[[], Unpacker]]] = {
    b"gzip": _Gzip,
    b"x-gzip": _Gzip,
    b"deflate": _Deflate,
    b"br": _Brotli,
    b"zstd": _Zstd,
}
"""The codings in which an answer can be read."""


class _Bounded:
    """Unpacks within bounds of ratio."""

    def __init__(self, coding: bytes) -> None:
        self._unpacker = CODINGS[coding]()
        self._taken = 0
        self.given = 0

    def unpack(self, data: bytes) -> Iterator[bytes]:
        self._taken += len(data)
        for plain in self._unpacker.unpack(data):
            if not plain:
                continue
            self.given += len(plain)
            if self.given > _FREE + _MAX_RATIO * self._taken:
                raise DamagedError("too much in too little")
            yield plain


class DecodingReader:
    """Feeds a reader with the decompressed answer; the client gets the bytes as they came.

    A bomb or damage ends the reading, not the relaying.
    """

    between_events = False
    """Nothing of ours can be put into a compressed stream."""

    def __init__(self, reader: AnswerReader, coding: bytes) -> None:
        self._reader = reader
        self.facts = reader.facts
        self._packed = _Bounded(coding)
        self._given_up = False

    def feed(self, data: bytes, now: float) -> bytes:
        if self._given_up:
            return data
        try:
            for plain in self._packed.unpack(data):
                self._reader.feed(plain, now)
                if self._packed.given > _MAX_READ:
                    self._given_up = True
                    break
        except DamagedError:
            self._given_up = True
        return data

    def finish(self) -> bytes:
        self._reader.finish()
        if self._given_up:
            self.facts.ended = True  # nothing is known against it
        return b""

    def abandon(self) -> None:
        self._reader.abandon()


class UnpackingReader:
    """Gives the client the answer decompressed: it was compressed though we asked for it plain."""

    def __init__(self, reader: AnswerReader, coding: bytes) -> None:
        self._reader = reader
        self.facts = reader.facts
        self._packed = _Bounded(coding)

    @property
    def between_events(self) -> bool:
        return self._reader.between_events

    def feed(self, data: bytes, now: float) -> bytes:
        """The decompressed bytes, as their reader gives them.

        Raises:
            DamagedError: the answer is damaged, or a bomb.
        """
        return b"".join([self._reader.feed(plain, now) for plain in self._packed.unpack(data)])

    def finish(self) -> bytes:
        return self._reader.finish()

    def abandon(self) -> None:
        self._reader.abandon()

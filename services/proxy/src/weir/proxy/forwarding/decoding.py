"""Compressed answers: unpacked for their reader, and for the client only if something must come out."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weir.proxy.providers.provider import AnswerReader

_MAX_STEP: Final = 4 << 20
_MAX_READ: Final = 64 << 20
_MAX_UNPACKED: Final = 32 << 20
"""More than one read of honest JSON or text unpacks to."""
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
CODINGS: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})


class DecodingReader:
    """Feeds a reader with the decompressed answer; the client gets the bytes as they came.

    A bomb or damage ends the reading, not the relaying.
    """

    between_events = False
    """Nothing of ours can be put into a compressed stream."""

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self.facts = reader.facts
        self._decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._decoded = 0
        self._given_up = False

    def feed(self, data: bytes, now: float) -> bytes:
        if not self._given_up:
            try:
                plain = self._decompressor.decompress(data, _MAX_STEP)
            except zlib.error:
                self._given_up = True
                return data
            self._decoded += len(plain)
            self._given_up = self._decoded > _MAX_READ or bool(self._decompressor.unconsumed_tail)
            if plain:
                self._reader.feed(plain, now)
        return data

    def finish(self) -> bytes:
        self._reader.finish()
        return b""

    def abandon(self) -> None:
        self._reader.abandon()


class UnpackingReader:
    """Gives the client the answer decompressed: it was compressed though we asked for it plain."""

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self.facts = reader.facts
        self._decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)

    @property
    def between_events(self) -> bool:
        return self._reader.between_events

    def feed(self, data: bytes, now: float) -> bytes:
        """The decompressed bytes, as their reader gives them.

        Raises:
            zlib.error: the answer is damaged, or a bomb.
        """
        plain = self._decompressor.decompress(data, _MAX_UNPACKED)
        if self._decompressor.unconsumed_tail:
            raise zlib.error("too much in too little")
        return self._reader.feed(plain, now)

    def finish(self) -> bytes:
        return self._reader.finish()

    def abandon(self) -> None:
        self._reader.abandon()

"""Compressed answers that are damaged, endless or not what they say: the client gets them to the byte."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any, Final, cast

import brotli
from tests.support.crooked.misdeed import JSON, PLAIN, Misdeed, head, passed

if TYPE_CHECKING:
    from collections.abc import Callable


def _coded(name: str, coding: bytes, body: bytes) -> Misdeed:
    answer = head(JSON, b"Content-Encoding: " + coding, b"Content-Length: %d" % len(body)) + body
    return passed(f"{coding.decode('latin-1')} {name}", answer, body=body)


# brotli has no types
_brotli: Final = cast("Callable[..., bytes]", cast("Any", brotli).compress)
_BOMB: Final = bytes(64 << 20)
_GZIP: Final = gzip.compress(PLAIN, mtime=0)

COMPRESSION: Final = (
    _coded("that is whole", b"gzip", _GZIP),
    _coded("that bursts", b"gzip", gzip.compress(_BOMB, 9, mtime=0)),
    _coded("that bursts twice", b"gzip", gzip.compress(gzip.compress(_BOMB, 9, mtime=0), 9, mtime=0)),
    _coded("that bursts", b"deflate", zlib.compress(_BOMB, 9)),
    _coded("that bursts", b"br", _brotli(_BOMB, quality=1)),
    _coded("that is damaged", b"gzip", _GZIP[:20] + b"\x00\xff" + _GZIP[22:]),
    _coded("that ends early", b"gzip", _GZIP[:-12]),
    _coded("that has more after it", b"gzip", _GZIP + b"more"),
    _coded("of many members", b"gzip", _GZIP * 50),
    _coded("of many empty members", b"gzip", gzip.compress(b"", mtime=0) * 20_000),
    _coded("that is none", b"gzip", PLAIN),
    _coded("that is empty", b"gzip", b""),
    _coded("that is none", b"br", PLAIN),
    _coded("that is none", b"zstd", PLAIN),
    _coded("with a window of gigabytes", b"zstd", b"\x28\xb5\x2f\xfd\x00\xf8" + bytes(20)),
    _coded("that is none", b"deflate", PLAIN),
    _coded("in a list", b"gzip, gzip", gzip.compress(_GZIP, mtime=0)),
    _coded("which nobody knows", b"rot13", PLAIN),
    _coded("which is empty", b"", PLAIN),
)

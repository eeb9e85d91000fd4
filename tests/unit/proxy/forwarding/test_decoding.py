"""Compressed answers in every coding: read at any split, within bounds, and never changed on their way."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any, Final, cast

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from tests.support.transport import in_pieces

from weir.proxy.forwarding.decoding import CODINGS, DamagedError, DecodingReader, UnpackingReader
from weir.proxy.providers import DIALECTS
from weir.proxy.providers.provider import Added

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.proxy.providers.provider import AnswerReader

EVENT: Final = b'data: {"model":"m","choices":[{"delta":{"content":"Gr\xc3\xbc\xc3\x9fe"}}]}\n\n'
USAGE: Final = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
STREAM: Final = EVENT * 3 + USAGE + b"data: [DONE]\n\n"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def brotli_fast(data: bytes) -> bytes:
    compress = cast("Any", brotli).compress
    packed: bytes = compress(data, quality=5)
    return packed


def flushed(data: bytes) -> bytes:
    """As a server packs a stream, so that each event can be read when its bytes are there."""
    packer = zlib.compressobj(wbits=31)
    pieces = in_pieces(data, range(0, len(data), 50))
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return b"".join(packed) + packer.flush()


PACKED: Final[dict[str, tuple[bytes, Callable[[bytes], bytes]]]] = {
    "gzip": (b"gzip", gzip.compress),
    "gzip-members": (b"gzip", lambda data: gzip.compress(data[:60]) + gzip.compress(data[60:])),
    "gzip-padded": (b"x-gzip", lambda data: gzip.compress(data) + bytes(100)),
    "gzip-flushed": (b"gzip", flushed),
    "deflate": (b"deflate", zlib.compress),
    "deflate-raw": (b"deflate", raw_deflate),
    "br": (b"br", brotli_fast),
    "zstd": (b"zstd", zstd.compress),
    "zstd-frames": (b"zstd", lambda data: zstd.compress(data[:60]) + zstd.compress(data[60:])),
}


def chat(*, stream: bool = True, added: Added = Added.NOTHING) -> AnswerReader:
    return DIALECTS["openai.chat"].reader(stream=stream, added=added)


def follow(reader: AnswerReader, pieces: list[bytes]) -> bytes:
    return b"".join([*(reader.feed(piece, 1.0) for piece in pieces), reader.finish()])


@pytest.mark.parametrize("name", PACKED)
@given(ends=st.lists(st.integers(0, 300), max_size=12))
def test_usage_is_read_and_the_bytes_stay(name: str, ends: list[int]) -> None:
    coding, pack = PACKED[name]
    packed = pack(STREAM)
    reader = DecodingReader(chat(), coding)
    assert follow(reader, in_pieces(packed, ends)) == packed
    assert reader.facts.usage is not None
    assert (reader.facts.usage.prompt_tokens, reader.facts.content_chunks) == (3, 3)
    assert reader.facts.ended
    assert not reader.between_events


@pytest.mark.parametrize("name", PACKED)
@given(ends=st.lists(st.integers(0, 300), max_size=12))
def test_what_must_come_out_comes_out_unpacked(name: str, ends: list[int]) -> None:
    coding, pack = PACKED[name]
    reader = UnpackingReader(chat(added=Added.LAST), coding)
    assert follow(reader, in_pieces(pack(STREAM), ends)) == STREAM.replace(USAGE, b"")
    assert reader.facts.usage is not None


def test_events_are_seen_as_their_bytes_come() -> None:
    packer = zlib.compressobj(wbits=31)
    reader = DecodingReader(chat(), b"gzip")
    for second in (1.0, 2.0):
        reader.feed(packer.compress(EVENT) + packer.flush(zlib.Z_SYNC_FLUSH), second)
        assert reader.facts.last_token_at == second


@pytest.mark.parametrize("name", PACKED)
def test_a_large_answer_is_read_step_by_step(name: str) -> None:
    coding, pack = PACKED[name]
    filler = b"".join(b'"%d":"%d",' % (number, number * 7919) for number in range(60_000))
    body = b"{" + filler + b'"model":"m","usage":{"prompt_tokens":3}}'
    packed = pack(body)
    reader = DecodingReader(chat(stream=False), coding)
    assert follow(reader, in_pieces(packed, range(0, len(packed), 65_536))) == packed
    assert reader.facts.usage is not None
    assert reader.facts.usage.prompt_tokens == 3


BOMBS: Final[dict[str, tuple[bytes, bytes]]] = {
    "gzip": (b"gzip", gzip.compress(bytes(64 << 20), 9)),
    "deflate": (b"deflate", zlib.compress(bytes(64 << 20), 9)),
    "br": (b"br", brotli.compress(bytes(64 << 20), quality=5)),
    "zstd": (b"zstd", zstd.compress(bytes(64 << 20))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_and_passes(name: str) -> None:
    coding, bomb = BOMBS[name]
    reader = DecodingReader(chat(), coding)
    tracemalloc.start()
    try:
        assert follow(reader, [bomb, bomb]) == bomb * 2
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    assert reader.facts.usage is None
    assert reader.facts.ended, "nothing is known against the stream"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_not_unpacked_for_a_client(name: str) -> None:
    coding, bomb = BOMBS[name]
    with pytest.raises(DamagedError):
        UnpackingReader(chat(), coding).feed(bomb, 1.0)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("junk", [b"\x00" * 50, b"\xff" * 50, b"<html>not packed</html>"])
def test_damage_passes_where_it_is_only_read(coding: bytes, junk: bytes) -> None:
    reader = DecodingReader(chat(stream=False), coding)
    assert follow(reader, [junk[:7], junk[7:], b""]) == junk
    assert reader.facts.usage is None


@pytest.mark.parametrize("coding", CODINGS)
def test_and_is_said_where_it_is_unpacked(coding: bytes) -> None:
    with pytest.raises(DamagedError):
        UnpackingReader(chat(), coding).feed(b"\xff" * 50, 1.0)


def test_a_window_larger_than_http_allows_is_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    packed = packer.compress(bytes(1000)) + packer.flush()
    with pytest.raises(DamagedError):
        UnpackingReader(chat(), b"zstd").feed(packed, 1.0)


def test_what_is_rarely_needed_is_loaded_when_it_is() -> None:
    """Each worker is as small as can be."""
    program = (
        "import sys, weir.proxy.forwarding.decoding;"
        "sys.exit(bool({'brotli', '_brotli', 'backports.zstd', 'compression.zstd'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

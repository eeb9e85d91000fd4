"""Chunks of an answer that one read brought whole, as it nearly always does with the events of a stream.

Only the plain form is read here: a size in hexadecimal, CR LF, the data, CR LF. All else is for llhttp.
"""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,6})\r\n")
_LAST: Final = b"0\r\n\r\n"
_MOST: Final = 1024
_sizes: Final[dict[bytes, int]] = {}
"""What lines with a size in them mean; each stream has few. Nothing of anybody's."""


def whole_chunks(data: bytes) -> bytes | None:
    """What the chunks in `data` hold; None if they are not whole, not plain, or the last is among them."""
    # Nearly always one chunk of three or two digits. `find` and its kin cost more than all that is done here.
    if (size := _sizes.get(data[:5])) is not None:
        if len(data) == size + 7 and data[-2:] == b"\r\n":
            return data[5:-2]
    elif (size := _sizes.get(data[:4])) is not None and len(data) == size + 6 and data[-2:] == b"\r\n":
        return data[4:-2]
    return _several(data)


def last_chunks(data: bytes) -> bytes | None:
    """The same where the last chunk is among them, without trailers, and nothing follows it."""
    if data == _LAST:
        return b""
    return whole_chunks(data[: -len(_LAST)]) if data.endswith(_LAST) else None


def _several(data: bytes) -> bytes | None:
    pieces: list[bytes] = []
    start, end = 0, len(data)
    while start < end:
        line = _SIZE.match(data, start)
        if line is None:
            return None
        size = _sizes.get(line[0]) or _learn(line)
        start = line.end() + size + 2
        if not size or start > end or data[start - 2 : start] != b"\r\n":
            return None
        pieces.append(data[line.end() : start - 2])
    return b"".join(pieces)


def _learn(line: re.Match[bytes]) -> int:
    size = int(line[1], 16)
    if size and len(_sizes) < _MOST:
        _sizes[line[0]] = size
    return size

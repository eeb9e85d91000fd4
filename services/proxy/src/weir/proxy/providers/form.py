"""The fields of a multipart form, found by their delimiters, so that nothing inside a file is taken for one.

Grammar: RFC 7578 and RFC 2046 section 5.1. The delimiter is the body's first line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_DELIMITER: Final = 72
_LONGEST_HEAD: Final = 8 << 10
_MOST_PARTS: Final = 256
_NAME: Final = re.compile(rb'(?im)^content-disposition:[^\r\n]*?[;\s]name="?([^";\r\n]*)')
_FILE: Final = re.compile(rb"(?i)[;\s]filename\*?=")


def fields(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name of each field that is no file, and where its value begins and ends."""
    line = body.find(b"\r\n", 0, _LONGEST_DELIMITER + 2)
    if line < 0 or not body.startswith(b"--"):
        return
    delimiter = b"\r\n" + body[:line]
    at = line
    for _ in range(_MOST_PARTS):
        head_end = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        value = head_end + 4
        end = body.find(delimiter, value - 2) if head_end >= 0 else -1
        if end < 0:
            return
        head = body[at:head_end]
        if (name := _NAME.search(head)) is not None and _FILE.search(head) is None:
            yield name[1], value, max(value, end)
        at = end + len(delimiter)


def value_of(body: bytes, name: bytes, longest: int) -> str | None:
    """The text of a field; None if it is missing, empty or too long."""
    for found, start, end in fields(body):
        if found == name:
            return body[start:end].decode(errors="replace") if 0 < end - start <= longest else None
    return None

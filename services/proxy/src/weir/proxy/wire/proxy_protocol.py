"""The PROXY protocol: a load balancer's word on who the client is, before the client's first byte.

Specification: haproxy.org, "The PROXY protocol", versions 1 and 2.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V1: Final = b"PROXY "
_MAX_V1: Final = 107
_V1_WORDS: Final = 6
_V1_FAMILIES: Final = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}
_HEADER: Final = struct.Struct("!12sBBH")
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_MAX_LENGTH: Final = 1024
_FAMILIES: Final = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}


class BadProxyHeaderError(Exception):
    """The connection does not begin with a PROXY header, which is asked for."""


def read_header(data: bytes) -> tuple[str | None, int] | None:
    """The client's address (None where the balancer speaks for itself) and the header's length.

    None if more bytes are needed.

    Raises:
        BadProxyHeaderError: this is no PROXY header.
    """
    if data.startswith(SIGNATURE[: len(data)]):
        return _read_v2(data)
    if data.startswith(_V1[: len(data)]):
        return _read_v1(data)
    raise BadProxyHeaderError


def _read_v2(data: bytes) -> tuple[str | None, int] | None:
    if len(data) < _HEADER.size:
        return None
    _, command, family, length = _HEADER.unpack_from(data)
    if command not in {_LOCAL, _PROXY} or length > _MAX_LENGTH:
        raise BadProxyHeaderError
    end = _HEADER.size + length
    if len(data) < end:
        return None
    known = _FAMILIES.get(family)
    if command == _LOCAL or known is None:
        return None, end
    address_family, size = known
    if length < size:
        raise BadProxyHeaderError
    return socket.inet_ntop(address_family, data[_HEADER.size : _HEADER.size + size]), end


def _read_v1(data: bytes) -> tuple[str | None, int] | None:
    end = data.find(b"\r\n", 0, _MAX_V1)
    if end < 0:
        if len(data) >= _MAX_V1:
            raise BadProxyHeaderError
        return None
    words = data[:end].decode("ascii", errors="replace").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return None, end + 2
    family = _V1_FAMILIES.get(words[1]) if len(words) == _V1_WORDS else None
    if family is None:
        raise BadProxyHeaderError
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, words[2])), end + 2
    except (OSError, ValueError):  # a NUL is the latter
        raise BadProxyHeaderError from None

"""How many connections a worker has, and how many of them one client."""

from __future__ import annotations

import socket
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from weir.proxy.wire.framing import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAPPED: Final = bytes(10) + b"\xff\xff"
"""Before an IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2)."""
_SITE: Final = 8
"""Bytes of an IPv6 address that say whose it is; the rest each client chooses as it likes."""
LOOPBACK: Final = ("127.0.0.0/8", "::1")


def packed(address: str) -> bytes:
    """4 or 16 bytes; none for what is no address, such as a local socket's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        data = socket.inet_pton(family, address.partition("%")[0])
    except (OSError, ValueError):  # a NUL is the latter
        return b""
    return data.removeprefix(_MAPPED)


class Networks:
    """Some addresses, by themselves or by the networks that they are in."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks`: such as `10.0.0.0/8`, `192.0.2.7` or `fd00::/8`."""
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        for network in networks:
            address, _, digits = network.partition("/")
            data = packed(address)
            left_out = 8 * len(data) - int(digits or 8 * len(data))
            self._prefixes.setdefault((len(data), left_out), set()).add(int.from_bytes(data) >> left_out)

    def __contains__(self, address: str) -> bool:
        data = packed(address)
        number = int.from_bytes(data)
        return any(
            size == len(data) and number >> left_out in prefixes
            for (size, left_out), prefixes in self._prefixes.items()
        )


class Crowd:
    """The connections of one worker. A proxy in front that is trusted stands for many clients."""

    def __init__(self, most: int = 0, most_of_address: int = 0, trusted: Iterable[str] = ()) -> None:
        """0 is any number."""
        self._most = most
        self._most_of_address = most_of_address
        self.trusted = Networks(trusted)
        self._uncounted = Networks((*trusted, *LOOPBACK))
        self._here = 0
        self._of: Counter[bytes] = Counter()

    def __repr__(self) -> str:
        return f"<Crowd {self._here} of {len(self._of)} addresses>"

    def enter(self) -> BadRequestError | None:
        """One more has connected; why it must go again, if it must. Either way it leaves by `leave`."""
        self._here += 1
        return _full() if 0 < self._most < self._here else None

    def recognise(self, address: str) -> tuple[bytes | None, BadRequestError | None]:
        """Its address is known now: under what it is counted, if it is, and why it must go again."""
        if not self._most_of_address or address in self._uncounted:
            return None, None
        whose = packed(address)[:_SITE]
        self._of[whose] += 1
        return whose, _too_many() if self._of[whose] > self._most_of_address else None

    def leave(self, whose: bytes | None) -> None:
        self._here -= 1
        if whose is not None:
            self._of[whose] -= 1
            if not self._of[whose]:
                del self._of[whose]


def _full() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_connections",
        "There are too many connections. Try again in a moment.",
    )


def _too_many() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_connections",
        "There are too many connections from your address. Use fewer, and keep them.",
    )

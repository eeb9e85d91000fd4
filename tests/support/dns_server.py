"""A name server as Docker's own behaves: one name, an address for each container behind it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_HEADER: Final = struct.Struct("!HHHHHH")
_ANSWER: Final = 0x8580
_NO_SUCH_NAME: Final = 3
_A: Final = 1
_TO_THE_QUESTION: Final = 0xC00C
_TTL_SECONDS: Final = 1


class NameServer(asyncio.DatagramProtocol):
    """Answers on a UDP port of 127.0.0.1 from `addresses`, which a test may change."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._transport.close()

    @property
    def port(self) -> int:
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.asked += 1
        self._transport.sendto(self._answer(data), addr)

    def _answer(self, query: bytes) -> bytes:
        number = _HEADER.unpack_from(query)[0]
        labels: list[str] = []
        place = _HEADER.size
        while length := query[place]:
            labels.append(query[place + 1 : place + 1 + length].decode())
            place += 1 + length
        end = place + 5
        kind = struct.unpack_from("!H", query, place + 1)[0]
        found = self.addresses.get(".".join(labels))
        records = [socket.inet_aton(address) for address in found or ()] if kind == _A else []
        flags = _ANSWER if found is not None else _ANSWER | _NO_SUCH_NAME
        answers = b"".join(
            struct.pack("!HHHLH", _TO_THE_QUESTION, _A, 1, _TTL_SECONDS, len(record)) + record
            for record in records
        )
        return _HEADER.pack(number, flags, 1, len(records), 0, 0) + query[_HEADER.size : end] + answers

"""A case run against the data path in one process, cut wherever one likes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.support.corpus.case import BODY, LENGTH, MARK, UPSTREAM, Case, request
from tests.support.proxy_in_memory import turns
from tests.support.recording_upstream import ANSWER, next_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.proxy_in_memory import ClientEnd, InMemoryProxy

NEXT: Final = request(LENGTH, body=BODY)
"""A good request, which a kept connection must serve."""
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_END: Final = b"\r\n\r\n"
_FINAL: Final = 200
"""Whether an interim answer comes hangs on how the request is cut."""


class Run:
    """One connection and the upstream behind it."""

    def __init__(self, proxy: InMemoryProxy) -> None:
        self._proxy = proxy
        self._client: ClientEnd = proxy.client()
        self._rests: dict[object, bytes] = {}
        self.forwarded: list[bytes] = []
        self.said = b""

    async def feed(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if not self.ended:
                self._client.connection.data_received(piece)
        await self.settle()

    async def settle(self) -> None:
        """Answer, as the upstream, all that is asked, until nothing happens any more."""
        while True:
            await turns()
            asked = self._serve()
            self.said += self._client.take()
            if not asked:
                return

    @property
    def ended(self) -> bool:
        transport = self._client.transport
        return transport.closed or transport.has_eof

    async def leave(self) -> None:
        await self._client.leave()

    def _serve(self) -> bool:
        asked = False
        for end in self._proxy.network.ends:
            if end.transport.closed:
                end.lose()
                continue
            rest = self._rests.get(end, b"") + end.take()
            while (found := next_request(rest)) is not None:
                one, rest = found
                self.forwarded.append(one)
                asked = True
                end.say(ANSWER)
            self._rests[end] = rest
        return asked


async def run(case: Case, proxy: InMemoryProxy, pieces: Iterable[bytes]) -> None:
    """Send the case in these pieces and hold what comes of it against what must.

    Raises:
        AssertionError: it is something else.
    """
    address = b"X-Forwarded-For: 192.0.2.7"
    wanted = [
        one.replace(UPSTREAM, b"upstream.test").replace(b"X-Forwarded-For: 127.0.0.1", address)
        for one in case.forwarded
    ]
    one = Run(proxy)
    await one.feed(pieces)
    statuses = tuple(
        status for status in status_codes(one.said, bodiless_first=case.head_first) if status >= _FINAL
    )
    assert one.forwarded == wanted
    if case.leaves:
        await one.leave()
        await one.settle()
        assert one.forwarded == wanted
        return
    assert statuses == case.statuses
    assert MARK not in one.said
    assert one.ended != case.kept
    if case.kept:
        one.said = b""
        await one.feed([NEXT])
        assert status_codes(one.said) == [200]


def status_codes(said: bytes, *, bodiless_first: bool = False) -> list[int]:
    """The statuses of the answers, which must follow one another without anything between them."""
    statuses: list[int] = []
    while said:
        first = _STATUS.match(said)
        assert first is not None, "something stands between the answers"
        head, _, said = said.partition(_END)
        length = _LENGTH.search(head + b"\r\n")
        has_body = length is not None and not (bodiless_first and not statuses)
        said = said[int(length[1]) if length is not None and has_body else 0 :]
        statuses.append(int(first[1]))
    return statuses

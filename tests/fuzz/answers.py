"""Answers of upstreams: the same however they are cut, never read differently by h11, never a second one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11
from hypothesis import strategies as st
from tests.fuzz.part import Part, cuts, mutated, pieces
from tests.support.crooked import MISDEEDS
from tests.support.transport import FakeTransport

from weir.proxy.upstream import Address
from weir.proxy.wire.upstream import UpstreamConnection, UpstreamPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.proxy.wire.framing import Headers, ResponseHead

_SEEDS: Final = [
    data
    for misdeed in MISDEEDS
    if len(data := b"".join(step for step in misdeed.steps if isinstance(step, bytes))) < 2000
]
_WORDS: Final = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\0",
        b":",
        b",",
        b";",
        b"\x0b",
        b"\xff",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"chunked",
        b"Connection: close\r\n",
    ),
    *(
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0",
        b"204",
        b"100",
        b"304",
        b"+",
        b"-",
    ),
)
_POST: Final = b"POST / HTTP/1.1\r\n\r\n"


class _Notes:
    """What the connection tells of one answer."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.end = "open"

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        assert self.end == "open", "more after the end"
        if head is not None:
            assert self.head is None, "two heads"
            self.head = head
        assert self.head is not None or not body, "a body without a head"
        self.body += body
        if complete:
            self.end = "complete"

    def trailed(self, fields: Headers) -> None:
        # one read may bring head, trailers and end, which are told in another order
        assert fields
        assert self.end == "open", "trailers after the end"

    def broken(self, reason: str, *, garbage: bool) -> None:
        assert reason
        assert garbage
        assert self.end == "open", "more after the end"
        self.end = "broken"

    def upstream_paused(self) -> None: ...

    def upstream_resumed(self) -> None: ...


def _read(parts: Sequence[bytes]) -> tuple[_Notes, bool]:
    """What was told, and whether the connection may be used again."""
    pool = UpstreamPool(
        Address.of("http://upstream.test"),
        tls=None,
        idle_seconds=60.0,
        monotonic=lambda: 0.0,
    )
    connection = UpstreamConnection(pool)
    transport = FakeTransport()
    connection.connection_made(transport)
    notes = _Notes()
    connection.send(_POST, notes)
    for part in parts:
        if not transport.closed:
            connection.data_received(part)
    return notes, pool.take_idle() is not None


def _h11_reads(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of the answer; None if it is none, or not whole."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = 0, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, body
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError:
        return None


def _check(example: tuple[bytes, list[int]]) -> None:
    data, places = example
    whole, _ = _read([data] if data else [])
    for parts in (pieces(data, places), [data[at : at + 1] for at in range(len(data))]):
        cut, _ = _read(parts)
        if whole.end == "complete" or cut.end == "complete":
            assert (cut.end, cut.body) == (whole.end, whole.body), "another cut, another answer"
    if whole.end == "complete" and whole.head is not None:
        its = _h11_reads(data)
        assert its is None or its == (whole.head.status, whole.body), "h11 reads it otherwise"
        assert 200 <= whole.head.status <= 599


PARTS: Final = {"answers": Part(st.tuples(mutated(_SEEDS, _WORDS), cuts), _check)}

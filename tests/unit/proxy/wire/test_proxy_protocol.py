"""A load balancer's word on who the client is, in both versions, cut anywhere."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.client_line import NotingApplication
from tests.support.fixtures import HeldClock
from tests.support.transport import FakeTransport, in_pieces

from weir.proxy.wire.framing import HeadLimits
from weir.proxy.wire.proxy_protocol import SIGNATURE, BadProxyHeaderError, read_header
from weir.proxy.wire.server import ClientConnection


def v2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


V4 = socket.inet_aton("203.0.113.9") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4000, 8001)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::9") + bytes(16) + struct.pack("!HH", 4000, 8001)
WHOLE = {
    b"PROXY TCP4 203.0.113.9 10.0.0.1 4000 8001\r\n": "203.0.113.9",
    b"PROXY TCP6 2001:DB8::9 ::1 4000 8001\r\n": "2001:db8::9",
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN whatever it says\r\n": None,
    v2(0x21, 0x11, V4): "203.0.113.9",
    v2(0x21, 0x21, V6 + b"\x03\x00\x04abcd"): "2001:db8::9",
    v2(0x20, 0x00, b""): None,
    v2(0x21, 0x31, bytes(216)): None,
}
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"PROXY TCP4 203.0.113.900 10.0.0.1 4000 8001\r\n",
    b"PROXY TCP4 203.0.113.9\0 10.0.0.1 4000 8001\r\n",
    b"PROXY TCP4 2001:db8::9 ::1 4000 8001\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY \r\n",
    b"PROXY TCP5 a b c d\r\n",
    b"PROXY TCP4 " + b"x" * 200,
    v2(0x21, 0x11, V4[:3]),
    v2(0x11, 0x11, V4),
    v2(0x22, 0x11, V4),
    v2(0x21, 0x11, V4 + bytes(2000)),
]


@pytest.mark.parametrize("header", WHOLE)
def test_a_whole_header_is_read_and_nothing_after_it(header: bytes) -> None:
    assert read_header(header) == (WHOLE[header], len(header))
    assert read_header(header + b"GET / HTTP/1.1\r\n") == (WHOLE[header], len(header))


@pytest.mark.parametrize("header", WHOLE)
def test_a_part_of_one_waits_for_more(header: bytes) -> None:
    assert all(read_header(header[:end]) is None for end in range(len(header)))


@pytest.mark.parametrize("header", BAD)
def test_anything_else_is_refused(header: bytes) -> None:
    with pytest.raises(BadProxyHeaderError):
        read_header(header)


@given(st.binary(max_size=120), st.sampled_from([b"", b"PROXY ", SIGNATURE]))
def test_no_bytes_break_the_reader(data: bytes, start: bytes) -> None:
    try:
        found = read_header(start + data)
    except BadProxyHeaderError:
        return
    assert found is None or found[1] <= len(start + data)


def connect() -> tuple[ClientConnection, FakeTransport, NotingApplication]:
    application, transport = NotingApplication(), FakeTransport(peer="10.0.0.99")
    connection = ClientConnection(
        application, HeadLimits(), HeldClock().monotonic, set[ClientConnection](), proxy_protocol=True
    )
    connection.connection_made(transport)
    return connection, transport, application


@given(st.sampled_from(list(WHOLE)), st.lists(st.integers(0, 300), max_size=5))
def test_a_connection_takes_its_clients_address_from_it(header: bytes, ends: list[int]) -> None:
    connection, _, application = connect()
    for piece in in_pieces(header + b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", ends):
        connection.data_received(piece)
    assert application.paths == ["/a"]
    assert application.dispatched[0].client.address == (WHOLE[header] or "10.0.0.99")


def test_a_connection_without_one_is_cut_unanswered() -> None:
    connection, transport, application = connect()
    connection.data_received(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert transport.aborted
    assert transport.written == b""
    assert application.accepted == []

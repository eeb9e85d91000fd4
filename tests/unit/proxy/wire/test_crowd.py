"""Connections are counted, by address or by site, and those beyond the limits are turned away."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.client_line import TIMEOUTS, NotingApplication
from tests.support.fixtures import HeldClock
from tests.support.transport import FakeTransport

from weir.proxy.wire.crowd import Crowd, Networks
from weir.proxy.wire.framing import HeadLimits
from weir.proxy.wire.server import ClientConnection

POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


class Gate:
    """Clients of one worker."""

    def __init__(self, crowd: Crowd, *, proxy_protocol: bool = False, most_requests: int = 0) -> None:
        self.crowd = crowd
        self.clock = HeldClock()
        self.application = NotingApplication()
        self._proxy_protocol = proxy_protocol
        self._most_requests = most_requests
        self._registry: set[ClientConnection] = set()

    def come(self, address: str) -> tuple[ClientConnection, FakeTransport]:
        connection = ClientConnection(
            self.application,
            HeadLimits(),
            self.clock.monotonic,
            self._registry,
            crowd=self.crowd,
            proxy_protocol=self._proxy_protocol,
            most_requests=self._most_requests,
        )
        transport = FakeTransport(address)
        connection.connection_made(transport)
        return connection, transport

    def said(self, address: str) -> bytes:
        """What one who comes is told, and whether it has to go again."""
        _, transport = self.come(address)
        assert transport.closed == bool(transport.written)
        return transport.take()


class TestNetworks:
    @pytest.mark.parametrize(
        ("networks", "address", "is_in"),
        [
            (("10.0.0.0/8",), "10.1.2.3", True),
            (("10.0.0.0/8",), "11.0.0.1", False),
            (("10.9.9.9/8",), "10.1.2.3", True),
            (("192.0.2.7",), "192.0.2.7", True),
            (("192.0.2.7",), "192.0.2.8", False),
            (("0.0.0.0/0",), "1.2.3.4", True),
            (("0.0.0.0/0",), "::1", False),
            (("192.0.2.0/25", "198.51.100.0/24"), "198.51.100.9", True),
            (("2001:db8::/32",), "2001:db8:1::1", True),
            (("2001:db8::/32",), "2001:db9::1", False),
            (("fe80::/10",), "fe80::1%eth0", True),
            (("192.0.2.7",), "::ffff:192.0.2.7", True),
            (("::1",), "::1", True),
            ((), "::1", False),
            (("10.0.0.0/8",), "", False),
            (("10.0.0.0/8",), "nonsense", False),
        ],
    )
    def test_who_is_in(self, networks: tuple[str, ...], address: str, *, is_in: bool) -> None:
        assert (address in Networks(networks)) is is_in


class TestCrowd:
    def test_more_from_one_address_than_may_be(self) -> None:
        gate = Gate(Crowd(most_of_address=2))
        first, _ = gate.come("192.0.2.7")
        assert gate.said("192.0.2.7") == b""
        assert gate.said("192.0.2.7") == b"429;"
        assert gate.said("192.0.2.8") == b""
        first.connection_lost(None)
        assert gate.said("192.0.2.7") == b"429;", "who was turned away counts until it is gone"

    def test_who_leaves_makes_room_and_is_forgotten(self) -> None:
        gate = Gate(Crowd(most_of_address=1))
        for _ in range(3):
            connection, transport = gate.come("192.0.2.7")
            assert not transport.closed
            connection.connection_lost(None)
        assert repr(gate.crowd) == "<Crowd 0 of 0 addresses>"

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
            ("192.0.2.7", "::ffff:192.0.2.7", True),
            ("192.0.2.7", "192.0.2.8", False),
        ],
    )
    def test_what_is_one_address(self, one: str, other: str, *, same: bool) -> None:
        gate = Gate(Crowd(most_of_address=1))
        gate.come(one)
        assert gate.said(other) == (b"429;" if same else b"")

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.0.0.7"])
    def test_this_machine_and_trusted_proxies_stand_for_many(self, address: str) -> None:
        gate = Gate(Crowd(most_of_address=1, trusted=("10.0.0.0/8",)))
        for _ in range(3):
            assert gate.said(address) == b""

    def test_more_than_the_worker_takes(self) -> None:
        gate = Gate(Crowd(2, 0))
        connections = [gate.come(f"192.0.2.{number}")[0] for number in range(2)]
        connection, transport = gate.come("127.0.0.1")
        assert (transport.take(), transport.closed) == (b"503;", True)
        connection.connection_lost(None)
        connections[0].connection_lost(None)
        assert gate.said("192.0.2.9") == b""

    async def test_behind_a_balancer_the_clients_address_counts(self) -> None:
        gate = Gate(Crowd(most_of_address=1), proxy_protocol=True)
        for said in (b"", b"429;"):
            connection, transport = gate.come("10.0.0.1")
            connection.data_received(b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n" + POST)
            assert transport.take() == said
        assert gate.application.paths == ["/a"]

    def test_a_balancer_that_never_says_who_it_is_is_not_waited_for(self) -> None:
        gate = Gate(Crowd(), proxy_protocol=True)
        connection, transport = gate.come("10.0.0.1")
        connection.data_received(b"PROXY")
        gate.clock.advance(TIMEOUTS.head + 1)
        connection.sweep(gate.clock.monotonic(), TIMEOUTS)
        assert transport.has_eof or transport.closed

    def test_only_trusted_proxies_are_believed(self) -> None:
        gate = Gate(Crowd(trusted=("10.0.0.0/8",)))
        assert gate.come("10.0.0.7")[0].is_trusted
        assert not gate.come("127.0.0.1")[0].is_trusted
        assert not gate.come("192.0.2.7")[0].is_trusted


class TestConnections:
    async def test_after_so_many_requests_it_closes(self) -> None:
        gate = Gate(Crowd(), most_requests=3)
        gate.application.answers_at_once = True
        connection, transport = gate.come("192.0.2.7")
        for _ in range(3):
            assert not transport.closed
            connection.data_received(POST)
            await asyncio.sleep(0)
        assert (transport.written, transport.closed) == (b"/a;/a;/a;", True)

    def test_who_does_not_read_its_answer_is_cut(self) -> None:
        gate = Gate(Crowd())
        connection, transport = gate.come("192.0.2.7")
        connection.data_received(POST)
        connection.pause_writing()
        gate.clock.advance(TIMEOUTS.stalled)
        connection.sweep(gate.clock.monotonic(), TIMEOUTS)
        assert not transport.aborted
        gate.clock.advance(1)
        connection.sweep(gate.clock.monotonic(), TIMEOUTS)
        assert transport.aborted

    def test_who_reads_on_now_and_then_is_not(self) -> None:
        gate = Gate(Crowd())
        connection, transport = gate.come("192.0.2.7")
        connection.data_received(POST)
        for _ in range(5):
            connection.pause_writing()
            gate.clock.advance(TIMEOUTS.stalled)
            connection.resume_writing()
            connection.sweep(gate.clock.monotonic(), TIMEOUTS)
        assert not transport.aborted

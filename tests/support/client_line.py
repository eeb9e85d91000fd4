"""A client's connection over a fake transport, with an application that only notes what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.transport import FakeTransport

from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.exchange import Exchange
from weir.proxy.wire.patience import ClientTimeouts
from weir.proxy.wire.server import ClientConnection

if TYPE_CHECKING:
    from tests.support.fixtures import HeldClock

    from weir.proxy.exchange import RequestHead
    from weir.proxy.wire.framing import BadRequestError, HeadLimits

HEAD_TIMEOUT = 10.0
KEEP_ALIVE = 75.0
BODY_RATE = 100.0
TIMEOUTS = ClientTimeouts(HEAD_TIMEOUT, KEEP_ALIVE, BODY_RATE)


class NotingApplication:
    """Takes every request, except those for `/refused`, which it answers with `refused;` at once."""

    def __init__(self) -> None:
        self.accepted: list[Exchange] = []
        self.bodies: dict[Exchange, bytes] = {}
        self.dispatched: list[Exchange] = []
        self.marked: list[Exchange] = []
        self.left: list[Exchange] = []
        self.flow: list[str] = []
        self.errors: list[tuple[int, Exchange | None]] = []
        self.answers_at_once = False
        self.fails = False

    @property
    def paths(self) -> list[str]:
        return [exchange.head.path.decode() for exchange in self.dispatched]

    def accept(self, head: RequestHead, client: ClientConnection) -> Exchange | None:
        if self.fails:
            raise LookupError("a mistake of ours")
        if head.path == b"/refused":
            keep_alive = not client.must_close(head)
            client.write(b"refused;")
            client.response_done(keep_alive=keep_alive)
            return None
        exchange = Exchange(str(len(self.accepted)), head, client, ENDPOINTS[0], 1, 0.0, 0)
        self.accepted.append(exchange)
        self.bodies[exchange] = b""
        return exchange

    def receive(self, exchange: Exchange, data: bytes) -> None:
        self.bodies[exchange] += data

    def dispatch(self, exchange: Exchange) -> None:
        self.dispatched.append(exchange)
        if self.answers_at_once:
            self.answer(exchange)

    def answer(self, exchange: Exchange) -> None:
        client = exchange.client
        client.write(exchange.head.path + b";")
        client.response_done(keep_alive=not client.must_close(exchange.head))

    def mark(self, exchange: Exchange) -> None:
        self.marked.append(exchange)

    def client_left(self, exchange: Exchange) -> None:
        self.left.append(exchange)

    def client_paused(self, exchange: Exchange) -> None:
        self.flow.append(f"pause {exchange.request_id}")

    def client_resumed(self, exchange: Exchange) -> None:
        self.flow.append(f"resume {exchange.request_id}")

    def crowded(self, error: BadRequestError, client: ClientConnection) -> None:
        client.write(b"%d;" % error.status.value)
        client.close()

    def malformed(self, error: BadRequestError, client: ClientConnection, exchange: Exchange | None) -> None:
        self.errors.append((error.status.value, exchange))
        client.write(b"%d;" % error.status.value)
        if exchange is not None:
            client.response_done(keep_alive=False)
        else:
            client.close()


class Line:
    """One connection and both its ends."""

    def __init__(self, clock: HeldClock, limits: HeadLimits) -> None:
        self.clock = clock
        self.application = NotingApplication()
        self.registry: set[ClientConnection] = set()
        self.transport = FakeTransport()
        self.connection = ClientConnection(self.application, limits, clock.monotonic, self.registry)
        self.connection.connection_made(self.transport)

    def sweep_after(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.connection.sweep(self.clock.monotonic(), TIMEOUTS)

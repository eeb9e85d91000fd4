"""Who takes the requests that connections read: the pipeline, as the wire sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from weir.proxy.exchange import Exchange, RequestHead
    from weir.proxy.wire.framing import BadRequestError
    from weir.proxy.wire.server import ClientConnection


class Application(Protocol):
    """What a connection tells of each request, in this order."""

    def accept(self, head: RequestHead, client: ClientConnection) -> Exchange | None:
        """A head is complete. None: it has been answered already and its body is of no interest."""
        ...

    def receive(self, exchange: Exchange, data: bytes) -> None:
        """A piece of the request's body."""
        ...

    def dispatch(self, exchange: Exchange) -> None:
        """The request is whole."""
        ...

    def mark(self, exchange: Exchange) -> None:
        """A loop turn ends with the request still incomplete."""
        ...

    def client_left(self, exchange: Exchange) -> None: ...

    def client_paused(self, exchange: Exchange) -> None: ...

    def client_resumed(self, exchange: Exchange) -> None: ...

    def crowded(self, error: BadRequestError, client: ClientConnection) -> None:
        """There are too many connections; say so and close."""
        ...

    def malformed(self, error: BadRequestError, client: ClientConnection, exchange: Exchange | None) -> None:
        """What came is not a request, or its body broke off the rails; answer if possible and close."""
        ...

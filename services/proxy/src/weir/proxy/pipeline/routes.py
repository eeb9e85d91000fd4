"""Where requests go and who may send them: what a reload of the configuration replaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from weir.proxy.access.keys import Keys
    from weir.proxy.exchange import Exchange
    from weir.proxy.forwarding.forward import Forwarder
    from weir.proxy.forwarding.relay import Ending
    from weir.proxy.routing.router import Router


@dataclass(frozen=True, slots=True)
class Routes:
    """One configuration's clients and upstreams."""

    keys: Keys
    router: Router
    forwarder: Forwarder


class Handler(Protocol):
    """What an endpoint needs beyond the table, by its operation."""

    def handle(self, exchange: Exchange, routes: Routes, ending: Ending) -> bool:
        """Whether it takes the exchange; then it ends it, else one upstream gets it."""
        ...

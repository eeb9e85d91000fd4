"""Exchanges of which some facts are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weir.proxy.exchange import Exchange


def knowing(exchange: Exchange, **facts: Any) -> Exchange:
    """The exchange, with these of its fields set."""
    for name, value in facts.items():
        setattr(exchange, name, value)
    return exchange

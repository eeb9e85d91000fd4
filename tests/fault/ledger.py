"""What clients were answered, and what each answer promises about the row.

A request is known by its mark, which it sends as `x-request-id`, and by the proxy's `x-weir-request-id` as
soon as a head has come. After it the ledger holds the outcomes that its row may have, and whether there must
be a row at all: without a head nobody can know whether the request was accepted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Tokens:
    """As the answer reported them."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and what its row may say."""

    mark: str
    kind: str
    request_id: str | None
    """None: no head came, so that there is a row or none."""
    outcomes: frozenset[str]
    tokens: Tokens | None = None
    """What the row has if it is completed."""
    answered_at: float | None = None
    """When the whole answer was there, on the monotonic clock."""


CRASHED: Final = frozenset({"internal_error", "cancelled"})
"""What a proxy that dies makes of a request in flight; `cancelled` where its worker could still stop."""


@dataclass(slots=True)
class Ledger:
    """All requests of a run."""

    entries: list[Entry] = field(default_factory=list[Entry])
    sent: int = 0
    """Requests begun."""
    refused: int = 0
    """Connections that nobody took."""
    complaints: list[str] = field(default_factory=list[str])
    """What a client saw and must not see."""

    def whole(self, mark: str, kind: str, request_id: str, outcome: str, tokens: Tokens | None) -> None:
        """The whole answer came."""
        self.entries.append(
            Entry(mark, kind, request_id, frozenset({outcome}), tokens, answered_at=time.monotonic())
        )

    def unknown(
        self,
        mark: str,
        kind: str,
        request_id: str | None,
        outcomes: frozenset[str],
        tokens: Tokens | None = None,
    ) -> None:
        """The answer broke off, or the client left."""
        self.entries.append(Entry(mark, kind, request_id, outcomes, tokens))

    def complain(self, what: str) -> None:
        self.complaints.append(what)

"""How slow a client may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BODY_SECONDS: Final = 10.0
"""Over how long the rate of a body is taken."""


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """The limits of a client's time."""

    head: float
    """Seconds for a request's headers."""
    keep_alive: float
    """Seconds a connection may wait for its next request."""
    body_rate: float
    """Bytes a second that a body comes with at least; 0 for any."""
    stalled: float = 120.0
    """Seconds a client may leave its answer unread, when no more of it can be held."""


class BodyPace:
    """How fast the body under way comes."""

    __slots__ = ("_bytes", "_since")

    def __init__(self, now: float, came: int) -> None:
        """`came`: bytes of it that are here."""
        self._since = now
        self._bytes = came

    def is_slow(self, now: float, came: int, body_rate: float, *, excused: bool) -> bool:
        """Whether too little came since it was looked last, at least `BODY_SECONDS` ago.

        `excused`: nothing could come, because the upstream holds the request up.
        """
        since, had = self._since, self._bytes
        if had > came or excused:
            self._since, self._bytes = now, came
            return False
        if now - since < BODY_SECONDS:
            return False
        self._since, self._bytes = now, came
        return came - had < body_rate * (now - since)

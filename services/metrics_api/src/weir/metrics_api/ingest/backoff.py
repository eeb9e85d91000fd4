"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from typing import Final

FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 5.0


class Backoff:
    """Doubling pauses with jitter, so that many services do not come back at the same instant."""

    def __init__(self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def pause(self) -> float:
        """Seconds to wait now."""
        pause = self._next
        self._next = min(self._longest, pause * 2)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

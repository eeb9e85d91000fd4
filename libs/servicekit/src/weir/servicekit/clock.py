"""Time as something that is passed in, so that a test can hold it still."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The two times a service needs."""

    def now_us(self) -> int:
        """Wall clock, microseconds since the Unix epoch. It may step."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start. It never steps: durations are measured with it."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(time.monotonic)

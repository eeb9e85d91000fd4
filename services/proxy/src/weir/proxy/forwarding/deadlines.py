"""Time limits of upstream calls: one sweep looks at all of them, instead of a timer per request."""

from __future__ import annotations

from typing import Protocol


class Timed(Protocol):
    """A call with time limits."""

    def overdue(self, now: float) -> str | None:
        """What has taken too long, in words; None while all is well."""
        ...

    def time_out(self, what: str) -> None:
        """End the call."""
        ...


class Deadlines:
    """The calls under way."""

    def __init__(self) -> None:
        self._calls: set[Timed] = set()

    def __len__(self) -> int:
        return len(self._calls)

    def watch(self, call: Timed) -> None:
        self._calls.add(call)

    def forget(self, call: Timed) -> None:
        self._calls.discard(call)

    def sweep(self, now: float) -> None:
        """End every call that is overdue."""
        late = [(call, what) for call in self._calls if (what := call.overdue(now)) is not None]
        for call, what in late:
            call.time_out(what)

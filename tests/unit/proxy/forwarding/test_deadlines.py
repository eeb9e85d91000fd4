"""One sweep ends every call that is overdue, and no other."""

from __future__ import annotations

from weir.proxy.forwarding.deadlines import Deadlines


class Call:
    """A call with one limit; ending it forgets it, as real ones do."""

    def __init__(self, deadlines: Deadlines, limit: float) -> None:
        self._deadlines = deadlines
        self._limit = limit
        self.ended: list[str] = []
        deadlines.watch(self)

    def overdue(self, now: float) -> str | None:
        return "late" if now > self._limit else None

    def time_out(self, what: str) -> None:
        self.ended.append(what)
        self._deadlines.forget(self)


def test_a_sweep() -> None:
    deadlines = Deadlines()
    calls = [Call(deadlines, float(limit)) for limit in (1, 2, 3)]
    deadlines.sweep(2.5)
    deadlines.sweep(2.6)
    assert [call.ended for call in calls] == [["late"], ["late"], []]
    assert len(deadlines) == 1
    deadlines.forget(calls[2])
    deadlines.forget(calls[2])
    deadlines.sweep(99)
    assert calls[2].ended == []
    assert not deadlines

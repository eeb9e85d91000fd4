"""Upstreams that refuse what we ask streams for: clients do not see it, and they are not asked again."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from weir.proxy.providers.provider import Added

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weir.proxy.errors import ProxyError
    from weir.proxy.forwarding.http_call import HttpCall
    from weir.proxy.forwarding.relay import AnswerRelay
    from weir.proxy.upstream import Upstream
    from weir.proxy.wire.framing import ResponseHead

_MAY_ADD: Final = {"each": Added.LAST | Added.EACH, "end": Added.LAST, "never": Added.NOTHING}
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_OPTION: Final = b"continuous_usage_stats"
_NAMED: Final = (_OPTION, b"stream_options", b"include_usage")
_MAX_HELD: Final = 64 << 10
"""A longer answer is no refusal."""


class Askable:
    """What the streams of each upstream may be asked for: what the operator says, less what was refused."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        self._may = {upstream.name: _MAY_ADD[upstream.ask_usage] for upstream in upstreams}

    def of(self, upstream: Upstream) -> Added:
        return self._may[upstream.name]

    def learn(self, upstream: Upstream, taken: Added) -> None:
        """It took a request that asked for no more than this, after it had refused the same with more."""
        self._may[upstream.name] &= taken


def less(added: Added, refusal: bytes) -> Added:
    """What to ask for after a refusal."""
    return Added.LAST if Added.EACH in added and _OPTION in refusal else Added.NOTHING


class RefusalWatch:
    """Stands before an answer's relay until it is known that the answer is the client's to have.

    An answer that refuses what only we added is none: the request is sent again with less.
    """

    def __init__(
        self, relay: AnswerRelay, again: Callable[[bytes], None] | None, taken: Callable[[], None] | None
    ) -> None:
        """`again` sends the request with less; `taken` is told that the upstream did not refuse it."""
        self._relay = relay
        self._again = again
        self._taken = taken
        self._head: ResponseHead | None = None
        self._body = b""
        self._heard_at = 0.0
        self.heard_at = 0.0
        self.on_event = None
        self.call: HttpCall | None = None

    def received(self, head: ResponseHead | None, body: bytes, now: float, *, complete: bool) -> None:
        if self._head is None:
            self._head = head
        self._body += body
        self._heard_at = now
        if self._head is not None and self._head.status in _REFUSALS and self._again is not None:
            if not complete and len(self._body) <= _MAX_HELD:
                return
            if complete and any(name in self._body for name in _NAMED):
                self._again(self._body)
                return
        elif (
            self._head is not None and self._head.status < HTTPStatus.BAD_REQUEST and self._taken is not None
        ):
            self._taken()
        self._pass_on(now, complete=complete)

    def broken(self, error: ProxyError) -> None:
        if self._head is not None:
            self._pass_on(self._heard_at, complete=False)
        self._relay.broken(error)

    def abandoned(self) -> None:
        self._relay.abandoned()

    def _pass_on(self, now: float, *, complete: bool) -> None:
        """From here on the relay hears the call itself."""
        if self.call is not None:
            self.call.relay = self._relay
        self._relay.received(self._head, self._body, now, complete=complete)

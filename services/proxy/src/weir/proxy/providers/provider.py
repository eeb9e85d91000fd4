"""Provider: a vendor's wire dialect. Bytes in, bytes out, no I/O.

A dialect reads what a request says about itself, prepares the body for the upstream, and makes a reader for
each answer. A reader passes the answer's bytes on and fills an AnswerFacts on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.exchange import AnswerFacts, RequestFacts


class UnreadableBodyError(Exception):
    """The request's body is not what the endpoint takes. The message tells the client why."""


class AnswerReader(Protocol):
    """Follows one answer. Moments are seconds on the monotonic clock."""

    facts: AnswerFacts

    @property
    def between_events(self) -> bool:
        """Whether an event of ours may follow what was given out so far."""
        ...

    def feed(self, data: bytes, now: float) -> bytes:
        """Take the next bytes of the body and give those to send on."""
        ...

    def finish(self) -> bytes:
        """The body has ended as the upstream framed it: complete the facts, give what was held back."""
        ...

    def abandon(self) -> None:
        """The body broke off: complete the facts from what came, drop what was held back."""
        ...


class Dialect(Protocol):
    """What the pipeline asks of a provider's dialect."""

    def read_request(self, body: bytes) -> RequestFacts:
        """What the pipeline needs to know of the request.

        Raises:
            UnreadableBodyError: the body is not a JSON object.
        """
        ...

    def prepare(self, body: bytes, facts: RequestFacts) -> tuple[bytes, bool]:
        """The body to send, and whether we asked for a usage chunk that has to come out again."""
        ...

    def reader(self, *, stream: bool, strip_usage: bool) -> AnswerReader:
        """A reader for a successful answer; `stream` if it is an event stream."""
        ...

    def error_body(self, error: ProxyError) -> bytes:
        """An error of our own in the shape the endpoint's clients read."""
        ...

    def stream_error(self, error: ProxyError) -> bytes:
        """An event that tells the reader of a broken stream what happened."""
        ...

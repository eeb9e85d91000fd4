"""Provider: a vendor's wire dialect. Bytes in, bytes out, no I/O.

A dialect reads what a request says about itself, prepares the body for the upstream, and makes a reader for
each answer. A reader passes the answer's bytes on and fills an AnswerFacts on the way.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.exchange import AnswerFacts, RequestFacts


class UnreadableBodyError(Exception):
    """The request's body is not what the endpoint takes. The message tells the client why."""


class Added(IntFlag):
    """Usage that we ask a stream for though its client did not: it comes out again."""

    NOTHING = 0
    LAST = 1
    """A chunk of its own at the end."""
    EACH = 2
    """The counts so far with every chunk, so that they are exact where a stream breaks off."""


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

    def prepare(self, body: bytes, facts: RequestFacts, may: Added) -> tuple[bytes, Added]:
        """The body to send, and what it asks for beyond its client's wish, at most what `may` allows."""
        ...

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:
        """A reader for a successful answer, `stream` if it is an event stream; what was added comes out."""
        ...

    def error_body(self, error: ProxyError) -> bytes:
        """An error of our own in the shape the endpoint's clients read."""
        ...

    def stream_error(self, error: ProxyError) -> bytes:
        """An event that tells the reader of a broken stream what happened."""
        ...

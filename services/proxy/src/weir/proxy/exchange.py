"""Exchange: a client request on its way through the proxy, and the facts gathered on the way.

All of it is mutable and private to one worker; the recorder turns it into an immutable RequestEvent.
Moments (`*_at`) are seconds on the monotonic clock; None has not happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.events import Attempt, Outcome
    from weir.proxy.endpoints import Endpoint
    from weir.proxy.upstream import Upstream

_FIRST_LOOK: Final = 64 << 10


class HeadMemory:
    """What was worked out from a head, for the next request that comes with the same one."""

    __slots__ = ("admission", "came_again", "lines", "texts")

    def __init__(self) -> None:
        self.admission: Any = None
        """The pipeline's: who it is and what is asked for."""
        self.texts: Any = None
        """The recorder's: what of it stands in every record."""
        self.came_again = False
        """It pays to keep what was made for a request with it."""
        self.lines: dict[object, bytes] = {}
        """The head as it goes up, by who writes it."""


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """A request's head after every framing check has passed."""

    method: bytes
    path: bytes
    query: bytes
    """With its question mark, or empty."""
    headers: list[tuple[bytes, bytes, bytes]]
    """Name in lower case, name and value as they came; in order."""
    fields: dict[bytes, bytes]
    """The value of each header by its name in lower case; of a repeated one the last, of lists all."""
    content_length: int | None
    chunked: bool
    keep_alive: bool
    http_11: bool
    memory: HeadMemory = msgspec.field(default_factory=HeadMemory)

    def with_length(self, content_length: int | None) -> RequestHead:
        """The same head of a request whose body has another length."""
        return RequestHead(
            self.method,
            self.path,
            self.query,
            self.headers,
            self.fields,
            content_length,
            self.chunked,
            self.keep_alive,
            self.http_11,
            self.memory,
        )

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.content_length)

    @property
    def expects_continue(self) -> bool:
        return self.http_11 and self.fields.get(b"expect", b"").lower() == b"100-continue"


class Client(Protocol):
    """The client's connection, as the pipeline and the forwarding see it."""

    @property
    def address(self) -> str:
        """The client's IP address."""
        ...

    @property
    def is_trusted(self) -> bool:
        """What its requests say of where they come from is believed."""
        ...

    def write(self, data: bytes) -> None:
        """Hand bytes of the response to the transport."""
        ...

    def response_done(self, *, keep_alive: bool) -> None:
        """The response has been handed over whole; the next request may come, or the connection closes."""
        ...

    def abort(self) -> None:
        """Break the connection: the only honest end of a response whose head promised more."""
        ...

    def hold_request(self) -> None:
        """Stop reading the request's body: the upstream does not take it as fast as it comes."""
        ...

    def take_request(self) -> None:
        """Read on."""
        ...

    def must_close(self, head: RequestHead) -> bool:
        """Whether the connection closes after the response to this request."""
        ...


class Call(Protocol):
    """An attempt under way, as the client's side sees it."""

    @property
    def sent(self) -> bytes | None:
        """The request as it went up; None if it is held no longer."""
        ...

    def send_on(self, data: bytes, *, whole: bool) -> None:
        """More of a request's body that is sent on as it comes; `whole` if it is the end."""
        ...

    def cancel(self) -> None:
        """The client left: drop the upstream request at once."""
        ...

    def drop(self, error: str) -> None:
        """Drop the upstream request; whoever calls ends the exchange."""
        ...

    def pause(self) -> None:
        """The client does not read fast enough."""
        ...

    def resume(self) -> None: ...


class RequestFacts(msgspec.Struct):
    """What the body of an inference request says about itself."""

    model: str | None = None
    stream: bool = False
    user: str | None = None
    usage_asked: bool = False
    """The client asked for the usage chunk of a stream itself."""
    stream_options: object = None
    """As the client wrote them; the dialect knows what they mean."""


class Usage(msgspec.Struct, frozen=True):
    """Token counts as the upstream reported them, in canonical terms: the prompt includes its cached part."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: dict[str, Any] | None = None
    """The reported object, kept only where it says more than the fields above."""


@dataclass(slots=True)
class AnswerFacts:
    """What an answer says about itself; its reader fills it in as the bytes pass.

    No msgspec struct: to set a field of one takes six times as long.
    """

    model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    first_token_at: float | None = None
    first_answer_at: float | None = None
    last_token_at: float | None = None
    max_token_gap: float | None = None
    """Seconds; of streams with at least two content chunks."""
    content_chunks: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    ended: bool = True
    """False while a stream's terminal event is missing."""


_NO_FACTS: Final = RequestFacts()
_NO_ANSWER: Final = AnswerFacts()
"""Nobody changes these two: who knows more puts an object of its own in their place."""


class Exchange:
    """One accepted request. It ends with exactly one record."""

    __slots__ = (
        *(
            "accepted_at",
            "answer",
            "answer_trailers",
            "api_key_id",
            "attempts",
            "body",
            "call",
            "client",
            "connect_seconds",
        ),
        *("endpoint", "error_message", "error_type", "extra_headers", "facts", "head", "headers_at"),
        *("look_again_at", "model_in_path", "outcome", "received_at", "recorded", "request_bytes"),
        *("request_id", "response_bytes", "retries", "sent_at", "slot", "started_us", "status_code"),
        *(
            "span_id",
            "trace_flags",
            "trace_id",
            "trace_line",
            "trailers",
            "upstream",
            "upstream_done_at",
            "upstream_request_id",
        ),
    )

    def __init__(
        self,
        request_id: str,
        head: RequestHead,
        client: Client,
        endpoint: Endpoint,
        slot: int | None,
        accepted_at: float,
        started_us: int,
    ) -> None:
        """`slot`: its start mark in the journal; None if there was no room for it.

        `started_us` is by the wall clock, microseconds since the Unix epoch.
        """
        self.request_id = request_id
        self.head = head
        self.client = client
        self.endpoint = endpoint
        self.slot = slot
        self.accepted_at = accepted_at
        self.started_us = started_us
        self.model_in_path: str | None = None
        self.extra_headers = b""
        """Header lines of ours for whatever answer it gets."""
        self.api_key_id: str | None = None
        self.trace_id: str | None = None
        """The caller's trace; without one, our own once the request goes up."""
        self.trace_flags = "01"
        """Sampled, where the caller does not say: an upstream that traces at all goes on doing so."""
        self.span_id: str | None = None
        """Ours in that trace; None for a request that no upstream got."""
        self.trace_line = b""
        """The header by which the upstream joins the trace."""

        self.body: list[bytes] = []
        self.request_bytes = 0
        self.trailers: Sequence[tuple[bytes, bytes, bytes]] = ()
        """Of the request, like the headers of its head."""
        self.look_again_at = _FIRST_LOOK
        """At which size the held part of a body is next asked whether it is enough."""
        self.received_at: float | None = None
        """The request's last byte is here."""
        self.facts = _NO_FACTS

        self.upstream: Upstream | None = None
        self.call: Call | None = None
        self.attempts: Sequence[Attempt] = ()
        self.retries = 0
        self.connect_seconds: float | None = None
        self.sent_at: float | None = None
        """The request was handed to the upstream's transport."""
        self.headers_at: float | None = None
        self.upstream_done_at: float | None = None
        self.upstream_request_id: str | None = None

        self.answer_trailers: Sequence[tuple[bytes, bytes, bytes]] = ()
        self.answer = _NO_ANSWER
        self.response_bytes = 0
        self.status_code: int | None = None
        """Of the head that went to the client."""

        self.outcome: Outcome | None = None
        self.error_type: str | None = None
        self.error_message: str | None = None
        self.recorded = False

    def __repr__(self) -> str:
        return f"<Exchange {self.request_id} {self.endpoint.operation} {self.outcome or 'open'}>"

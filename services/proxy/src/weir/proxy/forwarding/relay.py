"""The answer's way to the client: head, body piece by piece, and one end."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from weir.events import Outcome
from weir.proxy.errors import upstream_failed
from weir.proxy.forwarding.decoding import CODINGS, DamagedError, DecodingReader, UnpackingReader
from weir.proxy.providers.plain import ErrorReader, PassingReader
from weir.proxy.providers.provider import Added
from weir.proxy.wire.heads import LAST_CHUNK, chunk, response_head
from weir.proxy.wire.trailers import last_chunk_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.proxy.errors import ProxyError
    from weir.proxy.exchange import Exchange
    from weir.proxy.providers.provider import AnswerReader, Dialect
    from weir.proxy.wire.framing import ResponseHead

_CONTENT_ENCODING: Final = frozenset({b"content-encoding"})
_NOTHING: Final = frozenset[bytes]()
# Looking a member up in its enum costs more than comparing it.
_BAD_REQUEST: Final = int(HTTPStatus.BAD_REQUEST)
_COMPLETED: Final = Outcome.COMPLETED
_NOTHING_ADDED: Final = Added.NOTHING
_UNREAD: Final = PassingReader()
"""Until the answer's head is there."""
logger = logging.getLogger(__name__)

_ENDED_EARLY: Final = "The stream ended without its terminal event."
_JSON: Final = b"application/json"
_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")


class Ending(Protocol):
    """How an exchange ends; the pipeline knows."""

    def record(self, exchange: Exchange) -> None:
        """The outcome is set: write the record, before the last byte is handed over."""
        ...

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """No head has been sent: answer with our own error."""
        ...

    def fail_unforeseen(self, exchange: Exchange) -> None:
        """Something of ours failed, wherever the answer stands."""
        ...


class AnswerRelay:
    """Passes one answer on, follows it with a reader, and ends the exchange."""

    __slots__ = (
        *("_added", "_alters", "_chunked", "_client", "_dialect", "_ending", "_event_stream", "_exchange"),
        *("_head", "_is_open_ended", "_keep_alive", "_monotonic", "_reader", "_status", "heard_at"),
    )

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        ending: Ending,
        *,
        added: Added,
        monotonic: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._dialect = dialect
        self._ending = ending
        self._added = added
        self._monotonic = monotonic
        self._client = exchange.client
        self._reader: AnswerReader = _UNREAD
        self._chunked = False
        self._keep_alive = True
        self._status = 0
        self._event_stream = False
        self._alters = False
        """The body does not go on byte for byte: our usage chunk comes out."""
        self._is_open_ended = True
        """An event of ours may follow: the body's length was not promised."""
        self._head = b""
        """The answer's head while it waits for the first write."""
        self.heard_at = 0.0

    def received(self, head: ResponseHead | None, body: bytes, now: float, *, complete: bool) -> None:
        """Pass on what one read brought, in one write."""
        try:
            if head is not None:
                self._begin(head, now)
            out = self._reader.feed(body, now) if body else b""
            if complete:
                self._complete(out + self._reader.finish(), now)
            else:
                self._exchange.response_bytes += len(out)
                self._write(self._framed(out))
        except DamagedError:
            self._damaged()
        except Exception:
            logger.exception("answer failed", extra={"request_id": self._exchange.request_id})
            self._fail()

    def on_event(self, data: bytes, chunks: bytes) -> None:
        """Pass on events of a stream which came in chunks of their own: nearly all that comes."""
        self.heard_at = now = self._monotonic()
        try:
            out = self._reader.feed(data, now)
            if out:
                self._exchange.response_bytes += len(out)
                if not self._chunked:
                    self._client.write(out)
                else:
                    self._client.write(chunks if out is data else chunk(out))
        except DamagedError:
            self._damaged()
        except Exception:
            logger.exception("answer failed", extra={"request_id": self._exchange.request_id})
            self._fail()

    def _damaged(self) -> None:
        self._withdraw_head()
        self._drop("damaged compression")
        self.broken(
            upstream_failed("upstream_bad_response", "The model server sent damaged compressed data.")
        )

    def _fail(self) -> None:
        self._withdraw_head()
        self._drop("internal error")
        self._ending.fail_unforeseen(self._exchange)

    def broken(self, error: ProxyError) -> None:
        """The answer will not come to its end."""
        exchange = self._exchange
        if exchange.status_code is None:
            self._ending.fail(exchange, error)
            return
        self._reader.abandon()
        exchange.answer = self._reader.facts
        exchange.outcome = error.outcome if error.outcome is Outcome.TIMEOUT else Outcome.TRUNCATED
        exchange.error_type = error.code
        exchange.error_message = error.message
        self._ending.record(exchange)
        if self._event_stream and self._is_open_ended and self._reader.between_events:
            last = self._framed(self._dialect.stream_error(error))
            self._write(last + LAST_CHUNK if self._chunked else last)
            exchange.client.response_done(keep_alive=False)
        else:
            exchange.client.abort()

    def abandoned(self) -> None:
        """The client left: complete the facts from what has passed."""
        self._reader.abandon()
        self._exchange.answer = self._reader.facts

    def _withdraw_head(self) -> None:
        """Nothing has gone out yet, so there is a way back to an answer of our own."""
        if self._head:
            self._head = b""
            self._exchange.status_code = None

    def _drop(self, error: str) -> None:
        if self._exchange.call is not None:
            self._exchange.call.drop(error)

    def _begin(self, head: ResponseHead, now: float) -> None:
        exchange = self._exchange
        client, request = exchange.client, exchange.head
        exchange.headers_at = now
        if head.upstream_id is not None:
            exchange.upstream_request_id = head.upstream_id.decode("latin-1")
        self._status = head.status
        content_type = head.fields.get(b"content-type", b"")
        self._event_stream = content_type != _JSON and content_type.lower().startswith(_STREAMS)
        self._alters = self._event_stream and self._added != _NOTHING_ADDED and head.status < _BAD_REQUEST
        self._reader = self._reader_for(head)
        as_framed = head.framing == "length" and not self._alters
        self._is_open_ended = not as_framed
        self._chunked = not as_framed and head.framing != "none" and request.http_11
        self._keep_alive = not client.must_close(request) and (
            as_framed or self._chunked or head.framing == "none"
        )
        connection = None
        if not self._keep_alive:
            connection = b"close"
        elif not request.http_11:
            connection = b"keep-alive"
        exchange.status_code = head.status
        self._head = response_head(
            head,
            request_id=exchange.request_id,
            length=head.content_length if as_framed else None,
            chunked=self._chunked,
            connection=connection,
            extra=exchange.extra_headers + _server_timing(exchange, now),
            drop=_CONTENT_ENCODING if isinstance(self._reader, UnpackingReader) else _NOTHING,
        )

    def _reader_for(self, head: ResponseHead) -> AnswerReader:
        reader: AnswerReader
        if head.status >= _BAD_REQUEST:
            reader = ErrorReader()
        elif self._exchange.endpoint.kind == "other" or head.framing == "none":
            return PassingReader()
        else:
            reader = self._dialect.reader(stream=self._event_stream, added=self._added)
        coding = head.fields.get(b"content-encoding")
        if coding is None or (coding := coding.strip().lower()) == b"identity":
            return reader
        if coding not in CODINGS:
            return PassingReader()
        return UnpackingReader(reader, coding) if self._alters else DecodingReader(reader, coding)

    def _complete(self, out: bytes, now: float) -> None:
        exchange = self._exchange
        exchange.upstream_done_at = now
        exchange.answer = self._reader.facts
        self._judge()
        exchange.response_bytes += len(out)
        self._ending.record(exchange)
        if self._chunked:
            trailers = exchange.answer_trailers
            last = last_chunk_down(trailers, altered=self._alters) if trailers else LAST_CHUNK
            self._write(self._framed(out) + last)
        else:
            self._write(out)
        exchange.client.response_done(keep_alive=self._keep_alive)

    def _judge(self) -> None:
        """The outcome of an answer that came to its end."""
        exchange, facts = self._exchange, self._reader.facts
        if self._status < _BAD_REQUEST and facts.error_type is None and facts.ended:
            exchange.outcome = _COMPLETED
            return
        exchange.error_type, exchange.error_message = facts.error_type, facts.error_message
        if self._status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            exchange.outcome = Outcome.UPSTREAM_ERROR
        elif self._status >= HTTPStatus.BAD_REQUEST:
            exchange.outcome = Outcome.CLIENT_ERROR
        elif facts.error_type is not None:
            exchange.outcome = Outcome.UPSTREAM_ERROR
        else:
            exchange.outcome = Outcome.TRUNCATED
            exchange.error_type = "stream_ended_early"
            exchange.error_message = _ENDED_EARLY
        if exchange.error_type is None:
            exchange.error_type = f"http_{self._status}"

    def _framed(self, data: bytes) -> bytes:
        return chunk(data) if self._chunked and data else data

    def _write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._exchange.client.write(data)


def _server_timing(exchange: Exchange, now: float) -> bytes:
    """What is known of the time so far; nothing for an answer that began before the request was whole."""
    sent, connect = exchange.sent_at, exchange.connect_seconds
    if sent is None or connect is None:
        return b""
    return b"server-timing: weir-queue;dur=0, weir-connect;dur=%.1f, weir-upstream;dur=%.1f\r\n" % (
        connect * 1000,
        (now - sent) * 1000,
    )

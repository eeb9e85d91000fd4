"""One RequestEvent per exchange: marked at its start, written at its end, never twice, never not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from weir.events import Outcome, RequestEvent, UsageSource, encode
from weir.events.request_event import MAX_TEXT
from weir.proxy.exchange import Usage
from weir.proxy.metering.measures.measures import overhead_seconds
from weir.proxy.metering.redaction import redacted
from weir.proxy.metering.usual import Words, completed, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.events import Attempt
    from weir.events.journal import JournalWriter
    from weir.events.journal_marks import StartMarks
    from weir.proxy.exchange import AnswerFacts, Exchange, RequestHead
    from weir.proxy.metering.counters import Counters
    from weir.proxy.metering.measures.measures import Measures
    from weir.proxy.upstream import Upstream

CRASHED: Final = "proxy_crashed"
_OWN_HEADER: Final = b"x-weir-"
_NAMED: Final = frozenset({b"x-weir-user", b"x-weir-project", b"x-weir-request-id"})
_MAX_METADATA: Final = 16
_MAX_METADATA_NAME: Final = 64
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_COMPLETED: Final = Outcome.COMPLETED
"""Looking a member up in its enum costs more than all else that is done with it."""
_NO_USAGE: Final = Usage()


class _HeadTexts(msgspec.Struct, frozen=True):
    """The caller's own words about the request, in its head."""

    client_request_id: str | None
    project: str | None
    user: str | None
    metadata: dict[str, str] | None
    """The `x-weir-*` headers that have no field of their own, without the prefix."""


class Recorder:
    """The worker's pen: what it writes is safe in the journal when the call returns."""

    def __init__(
        self,
        proxy_id: str,
        journal_name: str,
        journal: JournalWriter,
        marks: StartMarks,
        counters: Counters,
        measures: Measures,
        monotonic: Callable[[], float],
    ) -> None:
        self._proxy_id = proxy_id
        self._journal_name = journal_name
        self._journal = journal
        self._sequence = 0
        self._marks = marks
        self._counters = counters
        self._measures = measures
        self._monotonic = monotonic
        self._starts = Words()
        self._ends = Words()

    def takes_records(self) -> bool:
        """False where a request must be refused because its record would find no room."""
        return self._journal.takes_records()

    def open(self) -> int | None:
        """A start mark for a new exchange, or None when as many are in flight as may be."""
        return self._marks.take()

    def mark(self, exchange: Exchange) -> None:
        """Keep what is known so far where a SIGKILL cannot reach: the record it gets if we die now."""
        if exchange.slot is None:
            return
        facts, memory = exchange.facts, exchange.head.memory
        if memory.came_again:
            key = (memory, facts.model, facts.user, facts.stream, exchange.api_key_id)
            payload = started(self._starts.get(key, lambda: self._start(exchange)), exchange)
        else:
            payload = encode(self._start(exchange))
        if not self._marks.fits(payload):
            payload = encode(self._bare_start(exchange))
        self._marks.mark(exchange.slot, payload)

    def close(self, exchange: Exchange) -> None:
        """Write the record. The exchange has its outcome; without one, something of ours went wrong."""
        if exchange.recorded:
            return
        exchange.recorded = True
        now = self._monotonic()
        if self._journal.append(self._usual(exchange, now) or encode(self._event(exchange, now))):
            self._sequence += 1
            self._counters.add("journaled")
        else:
            self._marks.count_dropped()
            self._counters.add("dropped")
        self._measures.observe(exchange, now, self._sequence)
        if exchange.slot is not None:
            self._marks.release(exchange.slot)

    def _usual(self, exchange: Exchange, now: float) -> bytes | None:
        """The record of a request that went as nearly all do; None for one that did not."""
        answer, facts, upstream = exchange.answer, exchange.facts, exchange.upstream
        usage, memory = answer.usage, exchange.head.memory
        if (
            exchange.outcome is not _COMPLETED
            or usage is None
            or upstream is None
            or exchange.attempts
            or not memory.came_again
        ):
            return None
        key = (
            *(memory, facts.model, facts.user, facts.stream, exchange.api_key_id),
            *(upstream.name, upstream.provider, upstream.variant),
            *(answer.model, answer.finish_reason, exchange.status_code),
        )
        words = self._ends.get(key, lambda: self._completed(exchange, upstream))
        return completed(words, exchange, usage, self._sequence + 1, now)

    def _completed(self, exchange: Exchange, upstream: Upstream) -> RequestEvent:
        """The words of a completed request's record."""
        facts, answer = exchange.facts, exchange.answer
        texts: _HeadTexts = exchange.head.memory.texts or _head_texts(exchange.head)
        return RequestEvent(
            request_id="",
            proxy_id=self._proxy_id,
            started_at=0,
            endpoint=exchange.endpoint.operation,
            outcome=Outcome.COMPLETED,
            journal=self._journal_name,
            client_request_id=texts.client_request_id,
            project=texts.project,
            api_key_id=exchange.api_key_id,
            user=texts.user or _bounded(facts.user),
            provider=upstream.provider,
            upstream=upstream.name,
            variant=upstream.variant,
            model_requested=_bounded(facts.model),
            model=_bounded(answer.model),
            stream=facts.stream if exchange.endpoint.kind == "inference" else None,
            metadata=texts.metadata,
            status_code=exchange.status_code,
            finish_reason=_bounded(answer.finish_reason),
            usage_source=UsageSource.REPORTED,
        )

    def _start(self, exchange: Exchange) -> RequestEvent:
        facts = exchange.facts
        texts: _HeadTexts = exchange.head.memory.texts or _head_texts(exchange.head)
        return RequestEvent(
            request_id=exchange.request_id,
            proxy_id=self._proxy_id,
            started_at=exchange.started_us,
            endpoint=exchange.endpoint.operation,
            outcome=Outcome.INTERNAL_ERROR,
            journal=self._journal_name,
            error_type=CRASHED,
            error_message="The proxy process died while this request was in flight.",
            client_request_id=texts.client_request_id,
            api_key_id=exchange.api_key_id,
            project=texts.project,
            user=texts.user or _bounded(facts.user),
            model_requested=_bounded(facts.model),
            stream=facts.stream if exchange.endpoint.kind == "inference" else None,
        )

    def _bare_start(self, exchange: Exchange) -> RequestEvent:
        """The start without the free texts, for when they do not fit into a mark."""
        return RequestEvent(
            request_id=exchange.request_id,
            proxy_id=self._proxy_id,
            started_at=exchange.started_us,
            endpoint=exchange.endpoint.operation,
            outcome=Outcome.INTERNAL_ERROR,
            journal=self._journal_name,
            error_type=CRASHED,
            api_key_id=exchange.api_key_id,
        )

    def _event(self, exchange: Exchange, now: float) -> RequestEvent:
        facts, answer, upstream = exchange.facts, exchange.answer, exchange.upstream
        texts: _HeadTexts = exchange.head.memory.texts or _head_texts(exchange.head)
        began = exchange.accepted_at
        inference = exchange.endpoint.kind == "inference"
        usage, source = _usage(answer)
        return RequestEvent(
            request_id=exchange.request_id,
            proxy_id=self._proxy_id,
            started_at=exchange.started_us,
            endpoint=exchange.endpoint.operation,
            outcome=exchange.outcome or Outcome.INTERNAL_ERROR,
            journal=self._journal_name,
            sequence=self._sequence + 1,
            client_request_id=texts.client_request_id,
            upstream_request_id=_bounded(exchange.upstream_request_id),
            trace_id=exchange.trace_id,
            span_id=exchange.span_id,
            project=texts.project,
            api_key_id=exchange.api_key_id,
            user=texts.user or _bounded(facts.user),
            provider=upstream.provider if upstream else None,
            upstream=upstream.name if upstream else None,
            variant=upstream.variant if upstream else None,
            model_requested=_bounded(facts.model),
            model=_bounded(answer.model),
            stream=facts.stream if inference else None,
            metadata=texts.metadata,
            status_code=exchange.status_code,
            error_type=_bounded(exchange.error_type),
            error_message=_error_message(exchange),
            finish_reason=_bounded(answer.finish_reason),
            retries=exchange.retries,
            attempts=_attempts(exchange),
            queue_ms=None if exchange.sent_at is None else 0.0,
            connect_ms=_ms(exchange.connect_seconds),
            upstream_headers_ms=_between(exchange.sent_at, exchange.headers_at),
            time_to_first_token_ms=_between(began, answer.first_token_at),
            time_to_first_answer_ms=_between(began, answer.first_answer_at),
            time_to_last_token_ms=_between(began, answer.last_token_at),
            duration_ms=_between(began, now),
            proxy_overhead_ms=_ms(overhead_seconds(exchange, now)),
            max_token_gap_ms=_ms(answer.max_token_gap),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            usage_source=source,
            usage_raw=usage.raw,
            request_bytes=exchange.request_bytes,
            response_bytes=exchange.response_bytes,
            content_chunks=answer.content_chunks,
        )


def _error_message(exchange: Exchange) -> str | None:
    """The upstream's words without those of the request, or our own."""
    answer, message = exchange.answer, exchange.error_message
    sent = exchange.call.sent if exchange.call is not None and message is answer.error_message else b""
    return redacted(message, sent, (exchange.facts.model, answer.model))


def _usage(answer: AnswerFacts) -> tuple[Usage, UsageSource]:
    """The counts. Servers send about one token a chunk; the input is never guessed."""
    usage, chunks = answer.usage, answer.content_chunks
    if not chunks or (usage is not None and usage.completion_tokens is not None):
        return usage or _NO_USAGE, UsageSource.MISSING if usage is None else UsageSource.REPORTED
    return replace(usage or _NO_USAGE, completion_tokens=chunks), UsageSource.ESTIMATED


def _head_texts(head: RequestHead) -> _HeadTexts:
    """What a head brings into the record, kept for the next request with the same one."""
    own = {
        lower[len(_OWN_HEADER) :].decode("latin-1")[:_MAX_METADATA_NAME]: text
        for lower, _, value in head.headers
        if lower.startswith(_OWN_HEADER) and lower not in _NAMED and (text := _header(value)) is not None
    }
    texts = head.memory.texts = _HeadTexts(
        client_request_id=_header(head.fields.get(b"x-request-id")),
        project=_header(head.fields.get(b"x-weir-project")),
        user=_header(head.fields.get(b"x-weir-user")),
        metadata=dict(list(own.items())[:_MAX_METADATA]) or None,
    )
    return texts


def _header(value: bytes | None) -> str | None:
    """A header's value as text: UTF-8 if it is, else byte by byte."""
    if not value:
        return None
    try:
        return _bounded(value.decode())
    except UnicodeDecodeError:
        return _bounded(value.decode("latin-1"))


def _bounded(text: str | None) -> str | None:
    if not text or (len(text) <= MAX_TEXT and text.isprintable()):
        return text or None
    return _CONTROL.sub(" ", text)[:MAX_TEXT] or None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round((end - start) * 1000, 3)


def _attempts(exchange: Exchange) -> list[Attempt] | None:
    """The attempts, where they say more than the record does: several, or one that failed."""
    attempts = exchange.attempts
    if not attempts:
        return None
    return list(attempts) if len(attempts) > 1 or any(attempt.error for attempt in attempts) else None

"""Records of requests that go as nearly all do, as bytes, without building a RequestEvent for each.

The words of a record (model, upstream, client, what the head said) are the same from one request to the next.
They are encoded once, in a RequestEvent of their own, and kept; ids and numbers are put behind them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weir.events import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from weir.events import RequestEvent
    from weir.proxy.exchange import Exchange, Usage

_MOST: Final = 512
_PLAIN: Final = re.compile(r"[\w.:/-]{1,256}", re.ASCII)
"""Text that stands in JSON as it is."""
_ITS_OWN: Final = ("request_id", "started_at")


class Words:
    """The beginnings of records by what they depend on. When there are too many, all are made again."""

    def __init__(self) -> None:
        self._known: dict[Hashable, bytes] = {}

    def get(self, key: Hashable, event: Callable[[], RequestEvent]) -> bytes:
        """`event` has the words and nothing else that is set."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[key] = _beginning(event())
        return known


def started(words: bytes, exchange: Exchange) -> bytes:
    """The record of a request that has only begun."""
    return b'%b,"request_id":"%b","started_at":%d}' % (
        words,
        exchange.request_id.encode(),
        exchange.started_us,
    )


def completed(words: bytes, exchange: Exchange, usage: Usage, sequence: int, now: float) -> bytes | None:
    """The record of an answered request with reported usage; None if it has something unusual."""
    answer = exchange.answer
    began, sent, headers = exchange.accepted_at, exchange.sent_at, exchange.headers_at
    received, done, connect = exchange.received_at, exchange.upstream_done_at, exchange.connect_seconds
    token, first_answer, last = answer.first_token_at, answer.first_answer_at, answer.last_token_at
    if (
        sent is None
        or headers is None
        or received is None
        or done is None
        or connect is None
        or token is None
        or first_answer is None
        or exchange.trace_id is None
        or exchange.span_id is None
        or usage.raw is not None
        or usage.prompt_tokens is None
        or usage.completion_tokens is None
        or usage.total_tokens is None
    ):
        return None
    record = (
        b'%b,"request_id":"%b","trace_id":"%b","span_id":"%b","started_at":%d,"sequence":%d,'
        b'"queue_ms":0.0,"connect_ms":%.3f,'
        b'"upstream_headers_ms":%.3f,"time_to_first_token_ms":%.3f,"time_to_first_answer_ms":%.3f,'
        b'"duration_ms":%.3f,"proxy_overhead_ms":%.3f,"prompt_tokens":%d,"completion_tokens":%d,'
        b'"total_tokens":%d,"request_bytes":%d,"response_bytes":%d'
        % (
            words,
            exchange.request_id.encode(),
            exchange.trace_id.encode(),
            exchange.span_id.encode(),
            exchange.started_us,
            sequence,
            connect * 1000,
            (headers - sent) * 1000,
            (token - began) * 1000,
            (first_answer - began) * 1000,
            (now - began) * 1000,
            max(0.0, sent - received - connect + now - done) * 1000,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens,
            exchange.request_bytes,
            exchange.response_bytes,
        )
    )
    if (upstream_id := exchange.upstream_request_id) is not None:
        if _PLAIN.fullmatch(upstream_id) is None:
            return None
        record += b',"upstream_request_id":"%b"' % upstream_id.encode()
    if last is not None:
        record += b',"time_to_last_token_ms":%.3f' % ((last - began) * 1000)
    if answer.max_token_gap is not None:
        record += b',"max_token_gap_ms":%.3f' % (answer.max_token_gap * 1000)
    if answer.content_chunks is not None:
        record += b',"content_chunks":%d' % answer.content_chunks
    if usage.cache_read_tokens is not None:
        record += b',"cache_read_tokens":%d' % usage.cache_read_tokens
    if usage.cache_write_tokens is not None:
        record += b',"cache_write_tokens":%d' % usage.cache_write_tokens
    if usage.reasoning_tokens is not None:
        record += b',"reasoning_tokens":%d' % usage.reasoning_tokens
    return record + b"}"


def _beginning(event: RequestEvent) -> bytes:
    """The event as an object that is still open, without what each record has of its own."""
    members: dict[str, Any] = msgspec.json.decode(encode(event), type=dict[str, msgspec.Raw])
    for name in _ITS_OWN:
        del members[name]
    return msgspec.json.encode(members)[:-1]

"""Streams that are broken in their events."""

from __future__ import annotations

from typing import Final

from tests.support.crooked.misdeed import DONE, EVENT, SSE, STOP, Do, Misdeed, Step, chunked, head

_HEAD: Final = head(SSE, b"Transfer-Encoding: chunked")
_LAST: Final = b"0\r\n\r\n"


def _whole(name: str, events: bytes, *, outcome: str = "completed", error_type: str | None = None) -> Misdeed:
    """Its framing is whole, so the client gets it to the byte."""
    return Misdeed(
        f"a stream {name}",
        (_HEAD, chunked(events), _LAST),
        200,
        events,
        outcome=outcome,
        error_type=error_type,
        stream=True,
        connection_ends=False,
    )


def _usage(name: str, usage: bytes) -> Misdeed:
    """We asked for this event, and it comes out again."""
    asked_for = b'data: {"object":"chat.completion.chunk","model":"m","choices":[],"usage":%b}\n\n' % usage
    return Misdeed(
        f"a stream with {name} usage",
        (_HEAD, chunked(EVENT + STOP + asked_for + DONE), _LAST),
        200,
        EVENT + STOP + DONE,
        outcome="completed",
        error_type=None,
        stream=True,
        connection_ends=False,
    )


def _early(name: str, events: bytes) -> Misdeed:
    return _whole(name, events, outcome="truncated", error_type="stream_ended_early")


def _cut(
    name: str, *steps: Step, outcome: str = "truncated", error_type: str = "upstream_disconnected"
) -> Misdeed:
    return Misdeed(
        f"a stream {name}",
        (_HEAD, *steps),
        200,
        breaks_off=True,
        outcome=outcome,
        error_type=error_type,
        stream=True,
    )


STREAMS: Final = (
    _whole("that is well", EVENT + STOP + DONE),
    _whole("with words after its end", EVENT + STOP + DONE + EVENT),
    _whole("that ends twice", EVENT + STOP + DONE + DONE),
    _whole("of comments", b": hello\n\n" * 50 + EVENT + STOP + DONE),
    _whole("with a byte order mark", b"\xef\xbb\xbf" + EVENT + STOP + DONE),
    _whole("with CR LF", (EVENT + STOP + DONE).replace(b"\n", b"\r\n")),
    _whole("with bare CR", (EVENT + STOP + DONE).replace(b"\n", b"\r")),
    _whole("with fields nobody knows", b"id: 1\nretry: 5\nx: y\nevent: z\n" + EVENT + STOP + DONE),
    _whole("with events that are no JSON", b"data: {{{\n\n" + EVENT + STOP + DONE),
    _whole("with an event that nests without end", b"data: " + b"[" * 50_000 + b"\n\n" + EVENT + STOP + DONE),
    _whole("with an event of a megabyte", b"data: " + b"x" * 1_000_000 + b"\n\n" + EVENT + STOP + DONE),
    _whole("with invalid UTF-8", EVENT.replace(b'"a"', b'"\xff"') + STOP + DONE),
    _whole("with a NUL", EVENT.replace(b'"a"', b'"\x00"') + STOP + DONE),
    _whole(
        "with choices that are none",
        b'data: {"choices":null}\n\ndata: {"choices":[1]}\n\n' + EVENT + STOP + DONE,
    ),
    _usage("odd", b'{"prompt_tokens":"x"}'),
    _usage("huge", b'{"prompt_tokens":1e400}'),
    _usage("negative", b'{"prompt_tokens":-5,"total_tokens":-1}'),
    _usage("nested", b'{"a":' * 500 + b"1" + b"}" * 500),
    _early("without its end", EVENT + STOP),
    _early("of nothing", b""),
    _whole("whose last event is not closed", EVENT + STOP + b"data: [DONE]"),
    _cut("that is cut between events", chunked(EVENT), Do.FIN),
    _cut("that is cut inside an event", chunked(EVENT + EVENT[:20]), Do.FIN),
    _cut("that is reset between events", chunked(EVENT), Do.RESET),
    _cut("that is cut inside a chunk", chunked(EVENT) + b"40\r\ndata: ", Do.FIN),
    _cut(
        "that turns into garbage",
        chunked(EVENT),
        b"garbage\r\n",
        Do.STALL,
        error_type="upstream_bad_response",
    ),
    _cut("that stalls", chunked(EVENT), Do.STALL, outcome="timeout", error_type="upstream_timeout"),
    _cut(
        "that stalls inside an event",
        chunked(EVENT[:20]),
        Do.STALL,
        outcome="timeout",
        error_type="upstream_timeout",
    ),
)

"""Usage of a chat stream that only we asked for: asked by a splice of bytes, and taken out again to the byte.

What a server would have sent unasked is known from how each one writes its chunks:

* OpenAI, vLLM's chat and most others add a chunk without choices; OpenAI a null to all the others as well.
* vLLM's completions and SGLang always write a null usage; their chunks say `stop_reason`, `matched_stop`.
* llama.cpp's last chunk has `timings`: the added one if there is one, else the one that finishes.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from weir.proxy.providers.json_bytes import json_object, value_at
from weir.proxy.providers.provider import Added
from weir.proxy.providers.sse import event_data
from weir.proxy.providers.usage import chat_usage, sum_of_choices

if TYPE_CHECKING:
    from weir.proxy.exchange import Usage

_OPTIONS: Final = re.compile(rb'"stream_options"\s*:\s*')
_MOST_PLACES: Final = 8
"""How many places are tried: each costs reading the body once more."""
_VALUE: Final = rb"(null|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})"
_LAST_MEMBER: Final = re.compile(rb'"usage"\s*:\s*' + _VALUE + rb"\s*\}\s*\Z")
_MEMBER: Final = re.compile(rb',\s*"usage"\s*:\s*' + _VALUE + rb'|"usage"\s*:\s*' + _VALUE + rb"\s*,\s*")
_CHOICE: Final = re.compile(rb'"choices"\s*:\s*\[\s*[^\s\]]')
_INDEX: Final = re.compile(rb'"index"\s*:\s*(\d{1,4})')
_FINISHED: Final = re.compile(rb'"finish_reason"\s*:\s*"')
_LLAMA_CPP: Final = re.compile(rb'"system_fingerprint"\s*:\s*"b\d+-\w+"')
_MOST_CHOICES: Final = 128


class _Asking(msgspec.Struct):
    stream_options: Any = None


_asking_decoder: Final = msgspec.json.Decoder(_Asking)
_members_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def ask_for_usage(body: bytes, options: object, may: Added) -> tuple[bytes, Added]:
    """The body with what may be added to its `stream_options`, and what its client did not ask for."""
    if options is not msgspec.UNSET and options is not None and not isinstance(options, dict):
        return body, Added.NOTHING  # not what we could add to
    given = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
    asked = Added.NOTHING
    if given.get("include_usage") is True:
        asked = Added.LAST | Added.EACH if given.get("continuous_usage_stats") is True else Added.LAST
    more: dict[str, bool] = {}
    if (added := may & ~asked) & Added.LAST:
        more["include_usage"] = True
        if given.get("continuous_usage_stats") is True:
            added |= Added.EACH  # it has no effect but together with the other
    if may & ~asked & Added.EACH:
        more["continuous_usage_stats"] = True
    if not more:
        return body, Added.NOTHING
    if options is msgspec.UNSET:
        start = body.index(b"{") + 1
        return b'%b"stream_options":%b,%b' % (body[:start], msgspec.json.encode(more), body[start:]), added
    written = _with_options(body, {**given, **more})
    return (body, Added.NOTHING) if written is None else (written, added)


def _with_options(body: bytes, options: dict[str, Any]) -> bytes | None:
    """The body with these options in place of its own; every other byte as it was wherever that can be.

    Bytes alone do not say at which depth a name stands, so each place is tried until the body, read anew,
    has them.
    """
    encoded = msgspec.json.encode(options)
    try:
        for place in islice(_OPTIONS.finditer(body), _MOST_PLACES):
            if (found := value_at(body, place.end())) is None:
                continue
            written = body[: place.end()] + encoded + body[found[1] :]
            if _asking_decoder.decode(written).stream_options == options:
                return written
        members = _members_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # a key that is no text; what it means is the upstream's business
    members["stream_options"] = msgspec.Raw(encoded)
    return msgspec.json.encode(members)


class UsageRemoval:
    """Takes what was added out of one stream's events, and keeps what it said."""

    def __init__(self, added: Added) -> None:
        self._last = Added.LAST in added
        self._each = Added.EACH in added
        self._is_llama_cpp = False
        self.watches = self._last
        """Every event is to be shown to it, not only those with usage."""
        self._held = b""
        """llama.cpp's finishing chunk, until it is known what it would have carried."""
        self._reports: dict[bytes, bytes] = {}
        """The latest counts with a chunk, by its choice."""
        self._texts = False
        self._usage: Usage | None = None

    def without(self, event: bytes) -> bytes:
        """The event as the upstream would have sent it to the client's own request; perhaps nothing."""
        if self.watches and not self._is_llama_cpp and b'"choices"' in event:
            self.watches = self._is_llama_cpp = _LLAMA_CPP.search(event) is not None
        if not self._is_llama_cpp:
            return self._stripped(event)
        held, self._held = self._held, b""
        left = self._stripped(event)
        if not left:
            return _with_timings(held, event)
        if _FINISHED.search(left) is not None and b'"timings"' not in left:
            self._held = left
            return held
        return held + left

    def held(self) -> bytes:
        """What was held back, for no more will come."""
        held, self._held = self._held, b""
        return held

    def reported(self) -> Usage | None:
        """The counts that came with what was taken out."""
        if self._usage is not None:
            return self._usage
        reports = [json_object(report) for report in self._reports.values()]
        return sum_of_choices(reports, one_prompt=not self._texts)

    def _stripped(self, event: bytes) -> bytes:
        at = event.rfind(b'"usage"')
        before = event[: max(at, 0)].rstrip(b" ")
        found = _LAST_MEMBER.match(event, at) if before.endswith(b",") else None
        if found is None:
            return event if at < 0 else self._stripped_by_reading(event)
        if found[1] == b"null":
            return event if self._is_due(event) else before[:-1] + event[found.end(1) :]
        if not self._takes_out(event, found[1]):
            return event
        if _CHOICE.search(event) is None:
            return b""
        if _writes_null(event):
            return event[: found.start(1)] + b"null" + event[found.end(1) :]
        return before[:-1] + event[found.end(1) :]

    def _stripped_by_reading(self, event: bytes) -> bytes:
        """The same for an event in which usage is not plainly the last member."""
        chunk = json_object(event_data(event))
        usage = chunk.get("usage", ...)
        keeps_null = _writes_null(event)
        if usage is None:
            if self._is_due(event):
                return event
        elif not isinstance(usage, dict) or not self._takes_out(event, msgspec.json.encode(usage)):
            return event
        elif not chunk.get("choices"):
            return b""
        wanted = {name: value for name, value in chunk.items() if name != "usage"}
        if keeps_null:
            wanted["usage"] = None
        for place in _MEMBER.finditer(event):
            group = 1 if place[1] is not None else 2
            start, end = place.span(group) if keeps_null else place.span()
            left = event[:start] + (b"null" if keeps_null else b"") + event[end:]
            if json_object(event_data(left)) == wanted:
                return left
        return event

    def _takes_out(self, event: bytes, usage: bytes) -> bool:
        """Note the counts; whether they are here because we asked."""
        if _CHOICE.search(event) is None:
            self._usage = chat_usage(json_object(event_data(event)))
            return self._last
        if self._each:
            index = _INDEX.search(event)
            choice = index[1] if index is not None else b""
            if choice in self._reports or len(self._reports) < _MOST_CHOICES:
                self._reports[choice] = usage
            self._texts = b'"text_completion"' in event
        return self._each

    def _is_due(self, event: bytes) -> bool:
        """Whether a null usage is there without our asking."""
        return not self._last or _writes_null(event)


def _writes_null(event: bytes) -> bool:
    """Whether the server writes a null where there is no usage."""
    return b'"matched_stop"' in event or (b'"stop_reason"' in event and b'"text_completion"' in event)


def _with_timings(finishing: bytes, usage_chunk: bytes) -> bytes:
    """The finishing chunk with the `timings` of the usage chunk as its last member, as llama.cpp has it."""
    at = usage_chunk.find(b'"timings"')
    brace = usage_chunk.find(b"{", at)
    found = value_at(usage_chunk, brace) if 0 <= at < brace else None
    end = finishing.rfind(b"}")
    if found is None or end < 0:
        return finishing
    return b"%b,%b%b" % (finishing[:end], usage_chunk[at : found[1]], finishing[end:])

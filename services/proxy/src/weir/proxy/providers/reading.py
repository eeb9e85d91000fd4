"""How answers are followed, whatever the dialect: plain JSON at its end, streams event by event.

No JSON is parsed per event: model, content and finish reason are found by patterns in the raw bytes. That is
sound because a quote inside a JSON string is always escaped, so `"content":"` can only stand at a key.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from weir.proxy.exchange import AnswerFacts
from weir.proxy.providers.provider import UnreadableBodyError
from weir.proxy.providers.sse import EventSplitter

if TYPE_CHECKING:
    from weir.proxy.providers.sse import Splitter

TAIL_BYTES: Final = 16 << 10
"""How much of a stream's end is kept, where usage, finish reason and errors stand."""
_TAIL_SLACK: Final = 2 << 10
"""How much more may be there before it is cut, so that this is not done for every event."""
_WHOLE_BODY_BYTES: Final = 1 << 20
"""A plain answer up to this size is parsed whole; of a larger one only the ends are looked at."""
_MODEL: Final = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')


class JsonReader:
    """Follows a plain answer. The dialect reads the whole of it, or its ends when it is large or broken."""

    between_events = False

    def __init__(self) -> None:
        self.facts = AnswerFacts()
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes, now: float) -> bytes:
        if self.facts.first_token_at is None and data:
            self.facts.first_token_at = self.facts.first_answer_at = now
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _WHOLE_BODY_BYTES and len(self._pieces) > 1:
            whole = b"".join(self._pieces)
            self._pieces = [whole[:TAIL_BYTES], whole[-TAIL_BYTES:]]
        return data

    def finish(self) -> bytes:
        body = b"".join(self._pieces)
        self._pieces.clear()
        try:
            self.read_document(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.read_ends(body)
        return b""

    def abandon(self) -> None:
        self.read_ends(b"".join(self._pieces))
        self._pieces.clear()

    def read_document(self, body: bytes) -> None:
        """Take the facts from the whole answer.

        Raises:
            msgspec.DecodeError: it is not what the dialect answers with.
        """
        raise NotImplementedError

    def read_ends(self, body: bytes) -> None:
        """Take what can be seen from an answer that is not one whole document."""
        self.facts.model = model_in(body)


class StreamReader:
    """Follows a stream: passes whole events on as they come, notes when content passed, reads the end."""

    content: ClassVar[re.Pattern[bytes]]
    """Stands in every event that has content for the user, reasoning among it."""
    usual: ClassVar[bytes]
    """What content mostly begins with, which is found in a tenth of the time."""
    answer: ClassVar[re.Pattern[bytes]]
    """The same without reasoning."""
    tail_bytes: ClassVar[int] = TAIL_BYTES

    def __init__(self, splitter: Splitter | None = None) -> None:
        self.facts = AnswerFacts(ended=False, content_chunks=0)
        self._splitter = splitter or EventSplitter()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._rewrites = type(self).rewrite is not StreamReader.rewrite
        self._notices = type(self).notice is not StreamReader.notice

    @property
    def between_events(self) -> bool:
        return self._splitter.between_events

    def feed(self, data: bytes, now: float) -> bytes:
        splitter = self._splitter
        is_one = splitter.rests and splitter.is_one(data)  # as nearly always
        whole = data if is_one else splitter.feed(data)
        if not whole:
            return b""
        rewritten = self.rewrite(whole) if self._rewrites else whole
        if rewritten:
            self._look(rewritten, now, is_one and rewritten is whole)
        return rewritten

    def finish(self) -> bytes:
        rest = self.rewrite_end(self._splitter.rest())
        if rest:
            self._keep(rest)
            self.notice(rest)
        self._read_tail()
        return rest

    def abandon(self) -> None:
        self._splitter.rest()
        self._read_tail()

    def rewrite(self, whole: bytes) -> bytes:
        """The events as the client gets them."""
        return whole

    def rewrite_end(self, rest: bytes) -> bytes:
        """The same for what is left at the end, perhaps an event without its last line end."""
        return self.rewrite(rest) if rest else b""

    def has_content(self, whole: bytes) -> bool:
        """Whether the bytes have content."""
        at = whole.find(self.usual) + len(self.usual)
        if at >= len(self.usual) and whole[at : at + 1] != b'"':
            return True
        return self.content.search(whole) is not None

    def has_answer(self, whole: bytes) -> bool:
        """Whether the bytes, which have content, have some that is not reasoning."""
        return self.answer.search(whole) is not None

    def notice(self, whole: bytes) -> None:
        """Look at whole events for what stands elsewhere than at the end."""

    def read_event(self, event: bytes) -> None:
        """Read one event of the stream's end. The last one comes first."""
        raise NotImplementedError

    def read_end(self, tail: bytes) -> None:
        """Read the stream's end as a whole."""

    def _look(self, whole: bytes, now: float, is_one: bool) -> None:  # noqa: FBT001 - for each event
        self._tail.append(whole)
        self._tail_bytes += len(whole)
        if self._tail_bytes > self.tail_bytes + _TAIL_SLACK:
            self._trim()
        facts = self.facts
        if facts.model is None:
            facts.model = model_in(whole)
        if self._notices:
            self.notice(whole)
        if not self.has_content(whole):
            return
        if facts.first_token_at is None:
            facts.first_token_at = now
        elif facts.last_token_at is not None:
            gap = now - facts.last_token_at
            if facts.max_token_gap is None or gap > facts.max_token_gap:
                facts.max_token_gap = gap
        if facts.first_answer_at is None and self.has_answer(whole):
            facts.first_answer_at = now
        facts.last_token_at = now
        facts.content_chunks = (facts.content_chunks or 0) + (1 if is_one else self._count_content(whole))

    def _count_content(self, whole: bytes) -> int:
        """Events with content in them, of which there is at least one."""
        events = self._splitter.split(whole)
        return 1 if len(events) == 1 else sum(map(self.has_content, events))

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._tail.append(data)
        self._tail_bytes += len(data)
        self._trim()

    def _trim(self) -> None:
        while self._tail and self._tail_bytes - len(self._tail[0]) >= self.tail_bytes:
            self._tail_bytes -= len(self._tail.popleft())

    def _read_tail(self) -> None:
        self._trim()
        tail = b"".join(self._tail)
        self._tail.clear()
        self.read_end(tail)
        for event in reversed(self._splitter.split(tail)):
            self.read_event(event)


def model_in(data: bytes) -> str | None:
    """The first model name in the bytes."""
    match = _MODEL.search(data)
    if match is None:
        return None
    try:
        return msgspec.json.decode(match[1], type=str) or None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def unreadable(error: Exception) -> UnreadableBodyError:
    """What to tell the client of a body that is not a JSON object."""
    if isinstance(error, msgspec.ValidationError):
        return UnreadableBodyError("The request body must be a JSON object.")
    if isinstance(error, RecursionError):
        return UnreadableBodyError("The request body is nested too deeply.")
    return UnreadableBodyError("The request body is not valid JSON.")

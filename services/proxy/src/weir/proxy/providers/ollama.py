"""Ollama's native API: newline-delimited JSON, whose last line carries counts and durations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from weir.proxy.exchange import AnswerFacts, RequestFacts
from weir.proxy.providers.json_bytes import json_object, text
from weir.proxy.providers.provider import Added
from weir.proxy.providers.reading import JsonReader, StreamReader, unreadable
from weir.proxy.providers.sse import LineSplitter
from weir.proxy.providers.usage import ollama_usage

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.providers.provider import AnswerReader


class _Request(msgspec.Struct):
    model: Any = None
    name: Any = None
    stream: Any = None


_DONE: Final = re.compile(rb'"done"\s*:\s*true\s*,\s*"done_reason"\s*:\s*"(\w+)"')
_COUNT: Final = re.compile(rb'"(prompt_eval_count|eval_count|[a-z_]+_duration)"\s*:\s*(\d{1,15})')
_request_decoder: Final = msgspec.json.Decoder(_Request)


class Ollama:
    """The dialect of `/api/chat` and `/api/generate`, which stream unless told not to."""

    streams_by_default = True

    def read_request(self, body: bytes) -> RequestFacts:
        try:
            request = _request_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None
        stream = request.stream is not False if self.streams_by_default else request.stream is True
        return RequestFacts(model=text(request.model) or text(request.name), stream=stream)

    def prepare(self, body: bytes, facts: RequestFacts, may: Added) -> tuple[bytes, Added]:  # noqa: ARG002 - the port's
        return body, Added.NOTHING

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:  # noqa: ARG002 - the port's
        return LineReader() if stream else ObjectReader()

    def error_body(self, error: ProxyError) -> bytes:
        return msgspec.json.encode({"error": error.message})

    def stream_error(self, error: ProxyError) -> bytes:
        return self.error_body(error) + b"\n"


class OllamaPlain(Ollama):
    """The dialect of `/api/embed`, `/api/embeddings` and `/api/show`, which never stream."""

    streams_by_default = False


class ObjectReader(JsonReader):
    """Reads a plain answer."""

    def read_document(self, body: bytes) -> None:
        _take(self.facts, msgspec.json.decode(body, type=dict[str, Any]))


class LineReader(StreamReader):
    """Reads a stream of lines; the last has `done: true`."""

    usual: ClassVar[bytes] = b'"content":"'
    content: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:content|response|thinking)"\s*:\s*"(?!")|"tool_calls"\s*:\s*\[\s*\{'
    )
    answer: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:content|response)"\s*:\s*"(?!")|"tool_calls"\s*:\s*\[\s*\{'
    )

    def __init__(self) -> None:
        super().__init__(LineSplitter())
        self._last = True
        self._done_reason: str | None = None

    def notice(self, whole: bytes) -> None:
        if (done := _DONE.search(whole)) is not None:
            self._done_reason = done[1].decode()

    def read_event(self, event: bytes) -> None:
        if not self._last or not event.strip():
            return
        self._last = False
        document = json_object(event)
        if not document and self._done_reason is not None and event.rstrip().endswith(b"}"):
            # The last line of `generate` repeats the context; a long one has passed in pieces.
            document = {name.decode(): int(count) for name, count in _COUNT.findall(event)}
            document |= {"done": "eval_count" in document, "done_reason": self._done_reason}
        if document.get("done") is True:
            self.facts.ended = True
            _take(self.facts, document)
        elif (message := text(document.get("error"))) is not None:
            self.facts.error_type, self.facts.error_message = "stream_error", message


def _take(facts: AnswerFacts, document: dict[str, Any]) -> None:
    facts.model = text(document.get("model")) or facts.model
    facts.finish_reason = text(document.get("done_reason"))
    facts.usage = ollama_usage(document)

"""OpenAI's endpoints whose streams are typed events (Responses, images, audio), and the plain ones.

Nothing is ever added to these requests: usage comes with the last event by itself.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import msgspec

from weir.proxy.exchange import RequestFacts
from weir.proxy.providers.form import value_of
from weir.proxy.providers.json_bytes import json_object, object_after, text
from weir.proxy.providers.openai import ChatReader, OpenAI
from weir.proxy.providers.provider import Added
from weir.proxy.providers.reading import JsonReader, StreamReader, model_in, unreadable
from weir.proxy.providers.sse import event_data, split_events
from weir.proxy.providers.usage import responses_usage

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.providers.provider import AnswerReader

_TERMINAL: Final = re.compile(
    rb'"type"\s*:\s*"(?:response\.(completed|incomplete|failed)|transcript\.text\.done|speech\.audio\.done'
    rb'|image_(?:generation|edit)\.completed)"'
)
_ERROR: Final = re.compile(rb'"type"\s*:\s*"error"')
_LONGEST_FIELD: Final = 256
_DATA: Final = rb'(?:^|[\r\n])data:(?![^\r\n]*"delta"\s*:\s*"")[^\r\n]*?'
"""A line of data that is not of an empty delta."""


class _Response(msgspec.Struct):
    model: Any = None
    status: Any = None
    usage: dict[str, Any] | None = None
    incomplete_details: Any = None
    error: Any = None


class _Speech(msgspec.Struct):
    stream_format: Any = None


_speech_decoder: Final = msgspec.json.Decoder(_Speech)
_response_decoder: Final = msgspec.json.Decoder(_Response)


class TypedEvents(OpenAI):
    """The dialect of Responses and image generation."""

    def prepare(self, body: bytes, facts: RequestFacts, may: Added) -> tuple[bytes, Added]:  # noqa: ARG002 - the port's
        return body, Added.NOTHING

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:  # noqa: ARG002 - the port's
        return TypedEventReader() if stream else ResponseReader()

    def stream_error(self, error: ProxyError) -> bytes:
        event = {"type": "error", "code": error.code, "message": error.message, "param": None}
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


class Speech(TypedEvents):
    """The same for speech, which is asked to stream in another way."""

    def read_request(self, body: bytes) -> RequestFacts:
        facts = super().read_request(body)
        try:
            facts.stream = _speech_decoder.decode(body).stream_format == "sse"
        except UnicodeDecodeError as error:
            raise unreadable(error) from None
        return facts


class Forms(TypedEvents):
    """The same with multipart bodies: transcription, translation, image edits and variations."""

    def read_request(self, body: bytes) -> RequestFacts:
        stream = value_of(body, b"stream", _LONGEST_FIELD)
        return RequestFacts(
            model=value_of(body, b"model", _LONGEST_FIELD),
            stream=stream is not None and stream.strip().lower() == "true",
        )


class Plain(OpenAI):
    """JSON in, JSON out, with usage in chat's terms: embeddings, moderations, rerank, score, tokenize."""

    def prepare(self, body: bytes, facts: RequestFacts, may: Added) -> tuple[bytes, Added]:  # noqa: ARG002 - the port's
        return body, Added.NOTHING

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:
        return super().reader(stream=stream, added=added) if stream else ChatReader()


class ResponseReader(JsonReader):
    """Reads a plain answer with `input_tokens` and `output_tokens`."""

    def read_document(self, body: bytes) -> None:
        _take(self.facts, _response_decoder.decode(body))

    def read_ends(self, body: bytes) -> None:
        self.facts.model = model_in(body)
        if (usage := object_after(body, b'"usage"')) is not None:
            self.facts.usage = responses_usage(usage)


class TypedEventReader(StreamReader):
    """Reads a stream of typed events; the terminal one carries the whole answer, usage included."""

    usual: ClassVar[bytes] = b'"delta":"'
    # A picture may come with the terminal event alone.
    content: ClassVar[re.Pattern[bytes]] = re.compile(
        _DATA + rb'"type"\s*:\s*"(?:(?:[a-z_]+\.)+(?:delta|partial_image)|image_[a-z]+\.completed)"'
    )
    answer: ClassVar[re.Pattern[bytes]] = re.compile(
        _DATA + rb'"type"\s*:\s*"(?!response\.reasoning)'
        rb'(?:(?:[a-z_]+\.)+(?:delta|partial_image)|image_[a-z]+\.completed)"'
    )

    def __init__(self) -> None:
        super().__init__()
        self._ending = False
        """The terminal event is passing in pieces, too long to be held whole."""

    def notice(self, whole: bytes) -> None:
        if self._ending:
            self.facts.ended = self.between_events
        if _TERMINAL.search(whole) is None and _ERROR.search(whole) is None:
            return
        for event in split_events(whole):
            if (terminal := _TERMINAL.search(event)) is not None:
                self._terminal(event, terminal)
            elif _ERROR.search(event) is not None:
                self._error(json_object(event_data(event)))

    def read_event(self, event: bytes) -> None:
        """All there is to know was noticed as it passed."""

    def read_end(self, tail: bytes) -> None:
        # Of a terminal event that came in pieces the usage stands near its end.
        if (
            self._ending
            and self.facts.usage is None
            and (usage := object_after(tail, b'"usage"')) is not None
        ):
            self.facts.usage = responses_usage(usage)
            self.facts.ended = True

    def _terminal(self, event: bytes, terminal: re.Match[bytes]) -> None:
        document = json_object(event_data(event))
        if document:
            self.facts.ended = True
            with suppress(msgspec.ValidationError):  # an end all the same; what is odd in it stays unknown
                _take(self.facts, msgspec.convert(document.get("response", document), _Response))
            return
        self._ending = True
        self.facts.ended = self.between_events
        _take(
            self.facts,
            _Response(
                status=terminal[1].decode() if terminal[1] else None,
                incomplete_details=object_after(event, b'"incomplete_details"'),
                error=object_after(event, b'"error"'),
            ),
        )

    def _error(self, event: dict[str, Any]) -> None:
        if event.get("type") != "error":
            return
        nested = event.get("error")
        fields = cast("dict[str, Any]", nested) if isinstance(nested, dict) else event
        self.facts.error_type = text(fields.get("code")) or text(fields.get("type")) or "stream_error"
        self.facts.error_message = text(fields.get("message"))


def _take(facts: Any, response: _Response) -> None:
    facts.model = text(response.model) or facts.model
    details = response.incomplete_details
    reason = cast("dict[str, Any]", details).get("reason") if isinstance(details, dict) else None
    facts.finish_reason = text(reason) or text(response.status)
    if response.usage is not None:
        facts.usage = responses_usage(response.usage)
    if isinstance(response.error, dict):
        error = cast("dict[str, Any]", response.error)
        facts.error_type = text(error.get("code")) or "response_failed"
        facts.error_message = text(error.get("message"))

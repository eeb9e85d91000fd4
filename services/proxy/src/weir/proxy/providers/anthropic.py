"""Anthropic's Messages, as Anthropic, vLLM, llama.cpp and Ollama speak them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import msgspec

from weir.proxy.exchange import RequestFacts
from weir.proxy.providers.json_bytes import json_object, object_after, text
from weir.proxy.providers.plain import PassingReader
from weir.proxy.providers.provider import Added
from weir.proxy.providers.reading import JsonReader, StreamReader, model_in, unreadable
from weir.proxy.providers.sse import event_data, split_events
from weir.proxy.providers.usage import anthropic_usage

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.providers.provider import AnswerReader

_START: Final = re.compile(rb'"type"\s*:\s*"message_start"')
_DELTA: Final = re.compile(rb'"type"\s*:\s*"message_delta"')
_STOP: Final = re.compile(rb'"type"\s*:\s*"message_stop"')
_ERROR: Final = re.compile(rb'"type"\s*:\s*"error"')
_TYPES: Final = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
}


class _Request(msgspec.Struct):
    model: Any = None
    stream: Any = None
    metadata: Any = None


class _Message(msgspec.Struct):
    model: Any = None
    stop_reason: Any = None
    usage: dict[str, Any] | None = None


_request_decoder: Final = msgspec.json.Decoder(_Request)
_message_decoder: Final = msgspec.json.Decoder(_Message)


class Anthropic:
    """The dialect of `/v1/messages`."""

    def read_request(self, body: bytes) -> RequestFacts:
        try:
            request = _request_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None
        metadata = cast("dict[str, Any]", request.metadata) if isinstance(request.metadata, dict) else {}
        return RequestFacts(
            model=text(request.model), stream=request.stream is True, user=text(metadata.get("user_id"))
        )

    def prepare(self, body: bytes, facts: RequestFacts, may: Added) -> tuple[bytes, Added]:  # noqa: ARG002 - the port's
        return body, Added.NOTHING

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:  # noqa: ARG002 - the port's
        return MessageStreamReader() if stream else MessageReader()

    def error_body(self, error: ProxyError) -> bytes:
        default = "api_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        fields = {"type": _TYPES.get(error.status, default), "message": error.message}
        return msgspec.json.encode({"type": "error", "error": fields})

    def stream_error(self, error: ProxyError) -> bytes:
        return b"event: error\ndata: " + self.error_body(error) + b"\n\n"


class TokenCounting(Anthropic):
    """The dialect of `/v1/messages/count_tokens`: what it counts was not used."""

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:  # noqa: ARG002 - the port's
        return PassingReader()


class MessageReader(JsonReader):
    """Reads a plain message."""

    def read_document(self, body: bytes) -> None:
        message = _message_decoder.decode(body)
        self.facts.model = text(message.model)
        self.facts.finish_reason = text(message.stop_reason)
        if message.usage is not None:
            self.facts.usage = anthropic_usage(message.usage)

    def read_ends(self, body: bytes) -> None:
        self.facts.model = model_in(body)
        if (usage := object_after(body, b'"usage"')) is not None:
            self.facts.usage = anthropic_usage(usage)


class MessageStreamReader(StreamReader):
    """Reads a message's events: input counts come with the first, output counts grow in `message_delta`."""

    usual: ClassVar[bytes] = b'"text":"'
    content: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:text|thinking|partial_json)"\s*:\s*"(?!")|"type"\s*:\s*"tool_use"'
    )
    answer: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:text|partial_json)"\s*:\s*"(?!")|"type"\s*:\s*"tool_use"'
    )

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}

    def notice(self, whole: bytes) -> None:
        for event in split_events(whole):
            if _START.search(event) is not None:
                self._begin(json_object(event_data(event)).get("message"))
            elif _DELTA.search(event) is not None:
                document = json_object(event_data(event))
                self._count(document)
                delta = document.get("delta")
                reason = cast("dict[str, Any]", delta).get("stop_reason") if isinstance(delta, dict) else None
                self.facts.finish_reason = text(reason) or self.facts.finish_reason
            elif _STOP.search(event) is not None:
                self.facts.ended = True
            elif _ERROR.search(event) is not None:
                self._error(json_object(event_data(event)))

    def read_event(self, event: bytes) -> None:
        """All there is to know was noticed as it passed."""

    def _begin(self, message: object) -> None:
        """What went in is known now. What comes out is not: the count of it is a placeholder."""
        if isinstance(message, dict):
            self._count(cast("dict[str, Any]", message), without="output_tokens")

    def _count(self, holder: dict[str, Any], without: str = "") -> None:
        usage = holder.get("usage")
        if isinstance(usage, dict):
            # Later events repeat or raise the counts; a null there does not unsay an earlier one.
            counts = cast("dict[str, Any]", usage).items()
            self._usage.update(
                {name: value for name, value in counts if value is not None and name != without}
            )
            self.facts.usage = anthropic_usage(self._usage)

    def _error(self, event: dict[str, Any]) -> None:
        error = event.get("error")
        if isinstance(error, dict):
            fields = cast("dict[str, Any]", error)
            self.facts.error_type = text(fields.get("type")) or "stream_error"
            self.facts.error_message = text(fields.get("message"))

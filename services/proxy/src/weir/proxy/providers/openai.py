"""OpenAI's chat and text completions, as OpenAI, vLLM, llama.cpp, SGLang and Ollama speak them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import msgspec

from weir.proxy.exchange import RequestFacts
from weir.proxy.providers.json_bytes import json_object, object_after, text
from weir.proxy.providers.provider import Added
from weir.proxy.providers.reading import JsonReader, StreamReader, model_in, unreadable
from weir.proxy.providers.sse import event_data, split_events
from weir.proxy.providers.stream_usage import UsageRemoval, ask_for_usage
from weir.proxy.providers.usage import UsualUsage, chat_usage

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.providers.provider import AnswerReader

_FINISH_REASON: Final = re.compile(rb'"finish_reason"\s*:\s*"([^"\\]{1,64})"')
_REASONING: Final = re.compile(rb'"(?:reasoning_details|thinking)"\s*:\s*\[')
"""Reasoning in pieces that have a `text` each."""
_ANSWER_BESIDE: Final = re.compile(rb'"(?:content|refusal)"\s*:\s*"(?!")|"tool_calls"\s*:\s*\[\s*\{')
_DONE: Final = b"[DONE]"
_TELLING: Final = (b"[DONE]", b'"usage"', b'"timings"', b'"error"')
"""An event without any of these says nothing about the end."""


class _Request(msgspec.Struct):
    """The fields we read; their types are the upstream's business, so that odd ones pass through."""

    model: Any = None
    stream: Any = None
    user: Any = None
    metadata: Any = None
    stream_options: Any = msgspec.UNSET


class _Choice(msgspec.Struct):
    finish_reason: Any = None


class _Completion(msgspec.Struct):
    model: Any = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    timings: Any = None


class _UsualCompletion(msgspec.Struct):
    """An answer as most are: what does not fit in is read as a `_Completion`."""

    usage: UsualUsage
    model: str
    choices: list[_Choice] = []
    timings: None = None


_request_decoder: Final = msgspec.json.Decoder(_Request)
_completion_decoder: Final = msgspec.json.Decoder(_Completion)
_usual_decoder: Final = msgspec.json.Decoder(_UsualCompletion)


class OpenAI:
    """The dialect. Without state: one instance serves all requests."""

    def read_request(self, body: bytes) -> RequestFacts:
        try:
            request = _request_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None
        metadata = cast("dict[str, Any]", request.metadata) if isinstance(request.metadata, dict) else {}
        return RequestFacts(
            model=text(request.model),
            stream=request.stream is True,
            user=text(request.user) or text(metadata.get("user_id")),
            usage_asked=_asks_for_usage(request.stream_options),
            stream_options=request.stream_options,
        )

    def prepare(self, body: bytes, facts: RequestFacts, may: Added) -> tuple[bytes, Added]:
        if not facts.stream:
            return body, Added.NOTHING
        return ask_for_usage(body, facts.stream_options, may)

    def reader(self, *, stream: bool, added: Added) -> AnswerReader:
        if not stream:
            return ChatReader()
        return StrippingReader(added) if added else ChatStreamReader()

    def error_body(self, error: ProxyError) -> bytes:
        return error.body()

    def stream_error(self, error: ProxyError) -> bytes:
        return b"data: " + error.body() + b"\n\n"


class ChatReader(JsonReader):
    """Reads a plain answer; of embeddings, rerank and score too, which have usage but no choices."""

    def read_document(self, body: bytes) -> None:
        facts = self.facts
        try:
            usual = _usual_decoder.decode(body)
        except msgspec.ValidationError:
            self._read_unusual(body)
            return
        facts.model = usual.model or None
        if usual.choices:
            facts.finish_reason = text(usual.choices[0].finish_reason)
        facts.usage = usual.usage.counts()

    def _read_unusual(self, body: bytes) -> None:
        facts = self.facts
        completion = _completion_decoder.decode(body)
        facts.model = text(completion.model)
        if completion.choices:
            facts.finish_reason = text(completion.choices[0].finish_reason)
        facts.usage = chat_usage({"usage": completion.usage, "timings": completion.timings})

    def read_ends(self, body: bytes) -> None:
        self.facts.model = model_in(body)
        if reasons := _FINISH_REASON.findall(body):
            self.facts.finish_reason = reasons[-1].decode(errors="replace")
        if (usage := object_after(body, b'"usage"')) is not None:
            self.facts.usage = chat_usage({"usage": usage})


class ChatStreamReader(StreamReader):
    """Reads an event stream of chunks."""

    usual: ClassVar[bytes] = b'"content":"'
    tail_bytes: ClassVar[int] = 4 << 10
    answer: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:content|refusal|text)"\s*:\s*"(?!")'
        rb'|"tool_calls"\s*:\s*\[\s*\{|"(?:function_call|audio)"\s*:\s*\{'
    )
    content: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:content|refusal|text|reasoning_content|reasoning)"\s*:\s*"(?!")'
        rb'|"tool_calls"\s*:\s*\[\s*\{|"(?:function_call|audio)"\s*:\s*\{'
    )

    def has_answer(self, whole: bytes) -> bool:
        if not super().has_answer(whole) or _REASONING.search(whole) is None:
            return super().has_answer(whole)
        return any(
            (self.answer if _REASONING.search(event) is None else _ANSWER_BESIDE).search(event) is not None
            for event in split_events(whole)
        )

    def read_end(self, tail: bytes) -> None:
        if reasons := _FINISH_REASON.findall(tail):
            self.facts.finish_reason = reasons[-1].decode(errors="replace")

    def read_event(self, event: bytes) -> None:
        if not any(word in event for word in _TELLING):
            return
        facts, data = self.facts, event_data(event)
        if data.strip() == _DONE:
            facts.ended = True
        elif facts.usage is None and (b'"usage"' in data or b'"timings"' in data):
            facts.usage = chat_usage(json_object(data))
        if b'"error"' in data:
            self._read_error(json_object(data).get("error"))

    def _read_error(self, error: object) -> None:
        if isinstance(error, dict):
            fields = cast("dict[str, Any]", error)
            self.facts.error_type = text(fields.get("code")) or text(fields.get("type")) or "stream_error"
            self.facts.error_message = text(fields.get("message"))
        elif error:
            self.facts.error_type, self.facts.error_message = "stream_error", text(error)


class StrippingReader(ChatStreamReader):
    """Reads a stream and takes the usage that we asked for out again."""

    def __init__(self, added: Added) -> None:
        super().__init__()
        self._removal = UsageRemoval(added)

    def rewrite(self, whole: bytes) -> bytes:
        if whole.find(b'"usage"') < 0 and not self._removal.watches:
            return whole
        return b"".join([self._removal.without(event) for event in split_events(whole)])

    def rewrite_end(self, rest: bytes) -> bytes:
        return super().rewrite_end(rest) + self._removal.held()

    def abandon(self) -> None:
        self._keep(self._removal.held())
        super().abandon()

    def read_end(self, tail: bytes) -> None:
        super().read_end(tail)
        self.facts.usage = self._removal.reported()


def _asks_for_usage(options: object) -> bool:
    return isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True

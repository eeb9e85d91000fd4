"""OpenAI's chat and text completions, as OpenAI, vLLM, llama.cpp, SGLang and Ollama speak them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import msgspec

from weir.proxy.exchange import RequestFacts
from weir.proxy.providers.json_bytes import json_object, object_after, text
from weir.proxy.providers.reading import JsonReader, StreamReader, model_in, unreadable
from weir.proxy.providers.sse import event_data, split_events
from weir.proxy.providers.usage import llamacpp_usage, openai_usage

if TYPE_CHECKING:
    from weir.proxy.errors import ProxyError
    from weir.proxy.providers.provider import AnswerReader

_ASK: Final = b'"stream_options":{"include_usage":true}'
_FINISH_REASON: Final = re.compile(rb'"finish_reason"\s*:\s*"([^"\\]{1,64})"')
_NULL_USAGE: Final = re.compile(rb',\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,\s*')
_DONE: Final = b"[DONE]"


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


_request_decoder: Final = msgspec.json.Decoder(_Request)
_members_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_completion_decoder: Final = msgspec.json.Decoder(_Completion)


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

    def prepare(self, body: bytes, facts: RequestFacts) -> tuple[bytes, bool]:
        if not facts.stream or facts.usage_asked:
            return body, False
        asked = _ask_for_usage(body, facts.stream_options)
        return (body, False) if asked is None else (asked, True)

    def reader(self, *, stream: bool, strip_usage: bool) -> AnswerReader:
        return ChatStreamReader(strip_usage=strip_usage) if stream else ChatReader()

    def error_body(self, error: ProxyError) -> bytes:
        return error.body()

    def stream_error(self, error: ProxyError) -> bytes:
        return b"data: " + error.body() + b"\n\n"


class ChatReader(JsonReader):
    """Reads a plain answer; of embeddings, rerank and score too, which have usage but no choices."""

    def read_document(self, body: bytes) -> None:
        facts = self.facts
        completion = _completion_decoder.decode(body)
        facts.model = text(completion.model)
        if completion.choices:
            facts.finish_reason = text(completion.choices[0].finish_reason)
        if completion.usage is not None:
            facts.usage = openai_usage(completion.usage)

    def read_ends(self, body: bytes) -> None:
        self.facts.model = model_in(body)
        if reasons := _FINISH_REASON.findall(body):
            self.facts.finish_reason = reasons[-1].decode(errors="replace")
        if (usage := object_after(body, b'"usage"')) is not None:
            self.facts.usage = openai_usage(usage)


class ChatStreamReader(StreamReader):
    """Reads an event stream of chunks and takes our usage chunk out again."""

    answer: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:content|refusal|text)"\s*:\s*"(?!")'
        rb'|"tool_calls"\s*:\s*\[\s*\{|"(?:function_call|audio)"\s*:\s*\{'
    )
    content: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"(?:content|refusal|text|reasoning_content|reasoning)"\s*:\s*"(?!")'
        rb'|"tool_calls"\s*:\s*\[\s*\{|"(?:function_call|audio)"\s*:\s*\{'
    )

    def __init__(self, *, strip_usage: bool) -> None:
        super().__init__()
        self._strip_usage = strip_usage

    def rewrite(self, whole: bytes) -> bytes:
        if not self._strip_usage or b'"usage"' not in whole:
            return whole
        return b"".join(map(self._without_usage, split_events(whole)))

    def read_end(self, tail: bytes) -> None:
        if reasons := _FINISH_REASON.findall(tail):
            self.facts.finish_reason = reasons[-1].decode(errors="replace")

    def read_event(self, event: bytes) -> None:
        facts, data = self.facts, event_data(event)
        if data.strip() == _DONE:
            facts.ended = True
        elif facts.usage is None and b'"usage"' in data:
            usage = json_object(data).get("usage")
            facts.usage = openai_usage(cast("dict[str, Any]", usage)) if isinstance(usage, dict) else None
        elif facts.usage is None and b'"timings"' in data:
            timings = json_object(data).get("timings")
            if isinstance(timings, dict):
                facts.usage = llamacpp_usage(cast("dict[str, Any]", timings))
        if b'"error"' in data:
            self._read_error(json_object(data).get("error"))

    def _without_usage(self, event: bytes) -> bytes:
        """The event as the upstream would have sent it had we not asked for usage."""
        if b'"usage"' not in event:
            return event
        chunk = json_object(event_data(event))
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.facts.usage = openai_usage(cast("dict[str, Any]", usage))
            return b"" if not chunk.get("choices") else event
        return _NULL_USAGE.sub(b"", event, count=1) if "usage" in chunk else event

    def _read_error(self, error: object) -> None:
        if isinstance(error, dict):
            fields = cast("dict[str, Any]", error)
            self.facts.error_type = text(fields.get("code")) or text(fields.get("type")) or "stream_error"
            self.facts.error_message = text(fields.get("message"))
        elif error:
            self.facts.error_type, self.facts.error_message = "stream_error", text(error)


def _asks_for_usage(options: object) -> bool:
    return isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True


def _ask_for_usage(body: bytes, options: object) -> bytes | None:
    """The body with `include_usage` in it; None where the options are not an object we could add to."""
    if options is msgspec.UNSET:
        start = body.index(b"{") + 1
        return b"%b%b,%b" % (body[:start], _ASK, body[start:])
    if options is not None and not isinstance(options, dict):
        return None
    # The client wrote options without it: every other value keeps its bytes.
    try:
        members = _members_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # a key that is no text; what it means is the upstream's business
    merged = {**cast("dict[str, Any]", options or {}), "include_usage": True}
    members["stream_options"] = msgspec.Raw(msgspec.json.encode(merged))
    return msgspec.json.encode(members)

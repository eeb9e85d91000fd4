"""One request for each endpoint family, and what its record must say: what the tests of families go by."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.support.fake_llm import SCRIPTS, answered_model
from tests.support.fake_llm.families import ollama
from tests.support.fake_llm.families.anthropic import stop_reason
from tests.support.raw_http import Answer, fetch

if TYPE_CHECKING:
    from collections.abc import Iterable

BOUNDARY: Final = "----weir-7MA4YWxkTrZu0gW"
HELLO: Final = [{"role": "user", "content": "Hello"}]
_OPENAI_ID: Final = "req_upstream_1"
_ANTHROPIC_ID: Final = "req_011CSHoEeqs5C35K2UUqR7Fy"


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and the fields of its record that are not null beside those that all records have."""

    name: str
    path: str
    endpoint: str
    says: dict[str, Any]
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    model: str = "answer"
    stream: bool | None = False
    method: str = "POST"
    file: bytes | None = None
    """The file of a form; the body is JSON without one."""
    family: str = "openai"
    upstream_request_id: str | None = _OPENAI_ID
    headers: tuple[tuple[str, str], ...] = ()

    def request(self, model: str | None = None) -> tuple[str, bytes]:
        """Content type and body, perhaps for another model than its own."""
        fields = {"model": model or self.model, **self.body}
        if self.method == "GET":
            return "", b""
        if self.file is None:
            return "application/json", json.dumps(fields).encode()
        return f"multipart/form-data; boundary={BOUNDARY}", form(fields, self.file)

    async def ask(
        self, url: str, mark: str, model: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        """Send it on a connection of its own, with the mark as `x-request-id`."""
        kind, body = self.request(model)
        typed = [("Content-Type", kind)] if kind else []
        sent = [("x-request-id", mark), *typed, *self.headers, *headers]
        return await fetch(url, self.method, self.path, sent, body if kind else None)


def form(fields: dict[str, Any], file: bytes, file_name: str = "model.mp3") -> bytes:
    """A multipart form whose file comes first, as curl sends it when it is named first."""
    head = f'Content-Disposition: form-data; name="file"; filename="{file_name}"\r\nContent-Type: audio/mpeg'
    parts = [f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + file]
    for name, value in fields.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode())
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def tokens(script: str, **more: Any) -> dict[str, Any]:
    """The counts that every family reports."""
    said = SCRIPTS[script]
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.completion_tokens,
        "total_tokens": said.prompt_tokens + said.completion_tokens,
        "usage_source": "reported",
        **more,
    }


def _details(script: str) -> dict[str, Any]:
    said = SCRIPTS[script]
    return {"cache_read_tokens": said.cached_tokens, "reasoning_tokens": said.reasoning_tokens}


def _chunks(script: str) -> int:
    """Content that is streamed, piece by piece."""
    said = SCRIPTS[script]
    return len(said.reasoning) + len(said.words) + len(said.refusal) + len(said.tool_arguments)


def _openai(name: str, path: str, script: str, stream: bool, **more: Any) -> Case:
    said = SCRIPTS[script]
    call = 1 if said.tool_arguments else 0  # the name of the function is a piece of its own
    says = tokens(script, model=answered_model(script), finish_reason=said.finish_reason, **_details(script))
    if stream:
        says["content_chunks"] = _chunks(script) + call
    extra = {"stream": True} if stream else {}
    return Case(
        f"{name}-{script}", path, name, says, {"messages": HELLO, **extra, **more}, script, stream
    )  # fmt: skip


def _responses(script: str, stream: bool) -> Case:
    said = SCRIPTS[script]
    reason = "max_output_tokens" if said.finish_reason == "length" else "completed"
    says = tokens(script, model=answered_model(script), finish_reason=reason, **_details(script))
    if stream:
        says["content_chunks"] = _chunks(script)
    body = {"input": "Hello", "stream": stream}
    return Case(f"responses-{script}", "/v1/responses", "responses", says, body, script, stream)


def _anthropic(script: str, stream: bool) -> Case:
    said = SCRIPTS[script]
    raw = {
        "input_tokens": said.prompt_tokens - said.cached_tokens - said.cache_written_tokens,
        "cache_creation_input_tokens": said.cache_written_tokens,
        "cache_read_input_tokens": said.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": said.cache_written_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": said.completion_tokens,
        "service_tier": "standard",
    }
    says = tokens(
        script,
        model=answered_model(script),
        finish_reason=stop_reason(said),
        cache_read_tokens=said.cached_tokens,
        cache_write_tokens=said.cache_written_tokens,
        usage_raw=raw,
        user="ada",
    )
    if stream:
        says["content_chunks"] = _chunks(script) + (1 if said.tool_arguments else 0)
    return Case(
        f"messages-{script}",
        "/v1/messages",
        "messages",
        says,
        {"messages": HELLO, "max_tokens": 99, "stream": stream, "metadata": {"user_id": "ada"}},
        script,
        stream,
        family="anthropic",
        upstream_request_id=_ANTHROPIC_ID,
        headers=(("anthropic-version", "2023-06-01"), ("x-api-key", "sk-ant-client")),
    )


def _ollama(operation: str, script: str, stream: bool) -> Case:
    said = SCRIPTS[script]
    reason = "length" if said.finish_reason == "length" else "stop"
    says = tokens(script, model=script, finish_reason=reason, usage_raw=ollama.DURATIONS)
    if stream:
        calls = 1 if said.tool_arguments else 0
        says["content_chunks"] = len(said.reasoning) + len(said.words) + len(said.refusal) + calls
    body: dict[str, Any] = {"messages": HELLO} if operation == "chat" else {"prompt": "Hello"}
    body |= {} if stream else {"stream": False}
    return Case(
        f"ollama.{operation}-{script}",
        f"/api/{operation}",
        f"ollama.{operation}",
        says,
        body,
        script,
        stream,
        family="ollama",
        upstream_request_id=None,
    )


def _ollama_other(operation: str, method: str, body: dict[str, Any], **says: Any) -> Case:
    stream = False if operation in {"embed", "embeddings"} else None
    more: dict[str, Any] = {"family": "ollama", "upstream_request_id": None, "method": method}
    return Case(
        f"ollama.{operation}",
        f"/api/{operation}",
        f"ollama.{operation}",
        says,
        body,
        "answer",
        stream,
        **more,
    )


def _prompt_only(script: str, **more: Any) -> dict[str, Any]:
    count = SCRIPTS[script].prompt_tokens
    given = {"prompt_tokens": count, "total_tokens": count, "usage_source": "reported"}
    return given | {"model": answered_model(script)} | more


def _media_usage(script: str, **details: Any) -> dict[str, Any]:
    said = SCRIPTS[script]
    counts = {"input_tokens": said.prompt_tokens, "output_tokens": said.completion_tokens}
    return counts | {"total_tokens": said.prompt_tokens + said.completion_tokens, **details}


_IMAGE_DETAILS: Final = {
    "input_tokens_details": {"text_tokens": 11, "image_tokens": 0},
    "output_tokens_details": {"text_tokens": 0, "image_tokens": 7},
}
_AUDIO_DETAILS: Final = {"type": "tokens", "input_token_details": {"text_tokens": 0, "audio_tokens": 11}}
_VOICE: Final = b"RIFF\x00\r\n\r\n--not the boundary\r\n" + bytes(range(256))

OPENAI: Final = (
    *(
        _openai("chat.completions", "/v1/chat/completions", name, stream)
        for name in SCRIPTS
        for stream in (False, True)
    ),
    *(
        _openai("completions", "/v1/completions", name, stream, prompt="Hello")
        for name in ("answer", "length", "huge")
        for stream in (False, True)
    ),
    *(_responses(name, stream) for name in SCRIPTS for stream in (False, True)),
    Case("embeddings", "/v1/embeddings", "embeddings", _prompt_only("answer"), {"input": "Hello"}),
    Case("embeddings-huge", "/v1/embeddings", "embeddings", _prompt_only("huge"), {"input": "Hello"}, "huge"),
    Case(
        "moderations",
        "/v1/moderations",
        "moderations",
        {"model": answered_model("answer")},
        {"input": "Hello"},
    ),
)

MEDIA: Final = (
    Case("audio.speech", "/v1/audio/speech", "audio.speech", {}, {"input": "Hello", "voice": "alloy"}),
    Case(
        "audio.speech-stream",
        "/v1/audio/speech",
        "audio.speech",
        tokens("answer", content_chunks=7),
        {"input": "Hello", "stream_format": "sse"},
        stream=True,
    ),
    Case(
        "audio.transcriptions",
        "/v1/audio/transcriptions",
        "audio.transcriptions",
        tokens("answer", usage_raw=_media_usage("answer", **_AUDIO_DETAILS)),
        file=_VOICE,
    ),
    Case(
        "audio.transcriptions-stream",
        "/v1/audio/transcriptions",
        "audio.transcriptions",
        tokens("answer", content_chunks=7, usage_raw=_media_usage("answer", **_AUDIO_DETAILS)),
        {"stream": True},
        file=_VOICE,
        stream=True,
    ),
    Case(
        "audio.transcriptions-seconds",
        "/v1/audio/transcriptions",
        "audio.transcriptions",
        {"usage_source": "reported", "usage_raw": {"type": "duration", "seconds": 9}},
        model="short",
        file=_VOICE,
    ),
    Case(
        "audio.transcriptions-text",
        "/v1/audio/transcriptions",
        "audio.transcriptions",
        {},
        {"response_format": "text"},
        file=_VOICE,
    ),
    Case("audio.translations", "/v1/audio/translations", "audio.translations", {}, file=_VOICE),
    Case(
        "images.generations",
        "/v1/images/generations",
        "images.generations",
        tokens("answer", usage_raw=_media_usage("answer", **_IMAGE_DETAILS)),
        {"prompt": "a weir"},
    ),
    Case(
        "images.generations-stream",
        "/v1/images/generations",
        "images.generations",
        tokens("answer", content_chunks=3, usage_raw=_media_usage("answer", **_IMAGE_DETAILS)),
        {"prompt": "a weir", "stream": True, "partial_images": 2},
        stream=True,
    ),
    Case(
        "images.generations-huge-stream",
        "/v1/images/generations",
        "images.generations",
        tokens(
            "huge",
            content_chunks=3,
            usage_raw=_media_usage(
                "huge",
                input_tokens_details={"text_tokens": 20_000, "image_tokens": 0},
                output_tokens_details={"text_tokens": 0, "image_tokens": 80},
            ),
        ),
        {"prompt": "a weir", "stream": True, "partial_images": 2},
        model="huge",
        stream=True,
    ),
    Case(
        "images.edits",
        "/v1/images/edits",
        "images.edits",
        tokens("answer", usage_raw=_media_usage("answer", **_IMAGE_DETAILS)),
        {"prompt": "a weir"},
        file=_VOICE,
    ),
    Case(
        "images.edits-stream",
        "/v1/images/edits",
        "images.edits",
        tokens("answer", content_chunks=1, usage_raw=_media_usage("answer", **_IMAGE_DETAILS)),
        {"prompt": "a weir", "stream": True},
        file=_VOICE,
        stream=True,
    ),
    Case("images.variations", "/v1/images/variations", "images.variations", {}, file=_VOICE),
)

VLLM: Final = (
    *(
        Case(
            f"rerank{path}",
            path,
            "rerank",
            _prompt_only("answer"),
            {"query": "capital", "documents": ["Bern", "Bonn"]},
        )
        for path in ("/v1/rerank", "/v2/rerank", "/rerank")
    ),
    *(
        Case(
            f"score{path}",
            path,
            "score",
            _prompt_only("answer", completion_tokens=0),
            {"text_1": "a", "text_2": "b"},
        )
        for path in ("/v1/score", "/score")
    ),
    *(
        Case(f"tokenize{path}", path, "tokenize", {}, {"prompt": "Hello"}, stream=None)
        for path in ("/v1/tokenize", "/tokenize")
    ),
)

ANTHROPIC: Final = (
    *(_anthropic(name, stream) for name in SCRIPTS for stream in (False, True)),
    Case(
        "messages.count_tokens",
        "/v1/messages/count_tokens",
        "messages.count_tokens",
        {},
        {"messages": HELLO},
        stream=None,
        family="anthropic",
        upstream_request_id=_ANTHROPIC_ID,
    ),
)

OLLAMA: Final = (
    *(
        _ollama(operation, name, stream)
        for operation in ("chat", "generate")
        for name in SCRIPTS
        for stream in (False, True)
        if not (operation == "generate" and SCRIPTS[name].tool_arguments)
    ),
    _ollama_other(
        "embed",
        "POST",
        {"input": "Hello"},
        model="answer",
        prompt_tokens=11,
        usage_source="reported",
        usage_raw={"total_duration": 14143917, "load_duration": 1019500},
    ),
    _ollama_other("embeddings", "POST", {"prompt": "Hello"}),
    _ollama_other("show", "POST", {}),
    _ollama_other("tags", "GET", {}),
    _ollama_other("version", "GET", {}),
)

LISTINGS: Final = (
    Case("models.list", "/v1/models", "models.list", {}, method="GET", stream=None),
    Case("models.retrieve", "/v1/models/answer", "models.retrieve", {}, method="GET", stream=None),
)

CASES: Final = (*OPENAI, *MEDIA, *VLLM, *ANTHROPIC, *OLLAMA, *LISTINGS)
STREAMS: Final = tuple(case for case in CASES if case.stream and case.model == "answer")

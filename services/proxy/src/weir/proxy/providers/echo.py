"""A model server inside the process, for demos, tests and load: it answers with the words it was sent.

It speaks OpenAI's chat dialect with the timing of a small model: a pause for the prompt, then a token every
few milliseconds. What it gives is a script of delays and bytes; who plays it does the waiting.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from weir.proxy.providers.json_bytes import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weir.proxy.exchange import RequestFacts

MODEL: Final = "demo"
PREFILL_SECONDS: Final = 0.12
PREFILL_SECONDS_PER_TOKEN: Final = 0.0005
TOKEN_SECONDS: Final = 0.018
MAX_TOKENS: Final = 64
_TOKEN: Final = re.compile(r"\s*\S{1,6}")
_INTRODUCTION: Final = "This is Weir's built-in demo model. You said: "


def models() -> bytes:
    """The answer to a listing of the models."""
    return msgspec.json.encode(
        {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "weir-demo"}]}
    )


def answer(body: bytes, facts: RequestFacts, answer_id: str) -> Iterator[tuple[float, bytes]]:
    """The pieces of the answer's body, each with the seconds to wait before it."""
    request = json_object(body)
    prompt = _prompt(request)
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    most = min(limit, MAX_TOKENS) if isinstance(limit, int) and limit > 0 else MAX_TOKENS
    tokens = _TOKEN.findall(_INTRODUCTION + (prompt or "nothing"))
    finish_reason = "stop" if len(tokens) <= most else "length"
    tokens = tokens[:most]
    prompt_tokens = len(_TOKEN.findall(prompt))
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": len(tokens),
        "total_tokens": prompt_tokens + len(tokens),
    }
    prefill = PREFILL_SECONDS + PREFILL_SECONDS_PER_TOKEN * prompt_tokens
    base: dict[str, Any] = {
        "id": f"chatcmpl-{answer_id}",
        "object": "chat.completion.chunk" if facts.stream else "chat.completion",
        "created": int(time.time()),
        "model": facts.model or MODEL,
    }
    if not facts.stream:
        message = {"role": "assistant", "content": "".join(tokens)}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        yield (
            prefill + TOKEN_SECONDS * len(tokens),
            msgspec.json.encode({**base, "choices": [choice], "usage": usage}),
        )
        return
    yield prefill, _chunk(base, {"role": "assistant", "content": ""}, None)
    for token in tokens:
        yield TOKEN_SECONDS, _chunk(base, {"content": token}, None)
    yield TOKEN_SECONDS, _chunk(base, {}, finish_reason)
    if facts.usage_asked or _wants_usage(request):
        yield 0.0, _event(msgspec.json.encode({**base, "choices": [], "usage": usage}))
    yield 0.0, b"data: [DONE]\n\n"


def _chunk(base: dict[str, Any], delta: dict[str, Any], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _event(msgspec.json.encode({**base, "choices": [choice]}))


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _wants_usage(request: dict[str, Any]) -> bool:
    options = request.get("stream_options")
    return isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True


def _prompt(request: dict[str, Any]) -> str:
    """The text of the last message."""
    messages = request.get("messages")
    last: Any = cast("list[Any]", messages)[-1] if isinstance(messages, list) and messages else None
    content: Any = cast("dict[str, Any]", last).get("content") if isinstance(last, dict) else None
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return " ".join(
            str(cast("dict[str, Any]", part).get("text", "")) for part in parts if isinstance(part, dict)
        )
    return content if isinstance(content, str) else ""

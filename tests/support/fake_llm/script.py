"""What the fake models say, as OpenAI would write it: pure, and the same bytes each time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

CREATED: Final = 1_760_000_000
FINGERPRINT: Final = "fp_0123456789"
DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: reasoning first, then tool calls, a refusal or words."""

    words: tuple[str, ...] = ("Hello", ",", " wide", " world", "! ", "Grüße ", "🌊")
    reasoning: tuple[str, ...] = ()
    tool_arguments: tuple[str, ...] = ()
    refusal: tuple[str, ...] = ()
    finish_reason: str = "stop"
    prompt_tokens: int = 11
    completion_tokens: int = 7
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    """Only Anthropic tells."""
    reasoning_tokens: int = 0


SCRIPTS: Final = {
    "answer": Script(),
    "short": Script(words=("Yes",), completion_tokens=1),
    "long": Script(words=tuple(f" word{n}" for n in range(400)), completion_tokens=400),
    "length": Script(finish_reason="length"),
    "cached": Script(prompt_tokens=2048, cached_tokens=1920, cache_written_tokens=100),
    "refusal": Script(words=(), refusal=("I'm sorry", ", but no."), completion_tokens=6),
    "huge": Script(
        words=tuple(f" {n}{'w' * 1000}" for n in range(80)), prompt_tokens=20_000, completion_tokens=80
    ),
    "tools": Script(
        words=(),
        tool_arguments=('{"ci', 'ty":"', "Bern", '"}'),
        finish_reason="tool_calls",
        completion_tokens=19,
    ),
    "reasoning": Script(
        reasoning=("Let me", " think", " hard."), words=("42", "."), completion_tokens=25, reasoning_tokens=20
    ),
}


def answered_model(model: str) -> str:
    """The name a model answers with: the dated one, as providers do."""
    return f"{model}-2026-01-01"


def usage(script: Script) -> dict[str, Any]:
    return {
        "prompt_tokens": script.prompt_tokens,
        "completion_tokens": script.completion_tokens,
        "total_tokens": script.prompt_tokens + script.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": script.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens, "audio_tokens": 0},
    }


def plain(model: str, script: Script) -> bytes:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(script.words) or None}
    if script.refusal:
        message["refusal"] = "".join(script.refusal)
    if script.reasoning:
        message["reasoning_content"] = "".join(script.reasoning)
    if script.tool_arguments:
        message["tool_calls"] = [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "weather", "arguments": "".join(script.tool_arguments)},
            }
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": script.finish_reason}
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": answered_model(model),
        "choices": [choice],
        "usage": usage(script),
        "system_fingerprint": FINGERPRINT,
    }
    return json.dumps(body, ensure_ascii=False, indent=2).encode()


def events(model: str, script: Script, *, include_usage: bool) -> list[bytes]:
    """The SSE events of a streamed answer without `[DONE]`; usage exactly as OpenAI adds it when asked."""
    found = [_event(model, [_choice(delta)], include_usage) for delta in _deltas(script)]
    found.append(_event(model, [_choice({}, script.finish_reason)], include_usage))
    if include_usage:
        found.append(_sse(_chunk(model, []) | {"usage": usage(script)}))
    return found


def _deltas(script: Script) -> list[dict[str, Any]]:
    """The role first, on its own, as OpenAI sends it: it is not a token."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"reasoning_content": text} for text in script.reasoning]
    deltas += [{"content": text} for text in script.words]
    deltas += [{"refusal": text} for text in script.refusal]
    if script.tool_arguments:
        call: dict[str, Any] = {"index": 0, "id": "call_1", "type": "function"}
        deltas.append({"tool_calls": [call | {"function": {"name": "weather", "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in script.tool_arguments
        ]
    return deltas


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answered_model(model),
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    }


def _event(model: str, choices: list[dict[str, Any]], include_usage: bool) -> bytes:
    return _sse(_chunk(model, choices) | ({"usage": None} if include_usage else {}))


def _sse(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def error(message: str, kind: str, code: str | None = None) -> bytes:
    """An error as OpenAI words it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def models() -> bytes:
    """The body of `GET /v1/models`."""
    listed = [{"id": name, "object": "model", "created": CREATED, "owned_by": "fake"} for name in SCRIPTS]
    return json.dumps({"object": "list", "data": listed}).encode()

"""Messages, as Anthropic writes them."""

from __future__ import annotations

from typing import Any, Final

from tests.support.fake_llm.reply import Asked, Reply, compact, typed_event
from tests.support.fake_llm.script import Script, answered_model

STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
HEADERS: Final = (("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy"), ("anthropic-organization-id", "org-1"))
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
_PADDING: Final = b" " * 11
_KINDS: Final = {
    "requests": "rate_limit_error",
    "server_error": "overloaded_error",
    "invalid_request_error": "invalid_request_error",
}


def error(message: str, kind: str, code: str | None = None) -> bytes:
    fields = {"type": _KINDS.get(kind, "api_error"), "message": message}
    return compact({"type": "error", "error": fields, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})


def messages(asked: Asked) -> Reply:
    said = asked.script
    counts = _usage(said)
    message = _message(asked) | {"content": _blocks(said), "stop_reason": stop_reason(said), "usage": counts}
    dead = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return Reply(
        plain=compact(message),
        streams=asked.flag("stream"),
        events=tuple(_events(asked)),
        end=typed_event({"type": "message_stop"}, _PADDING),
        failure=(typed_event(dead, _PADDING),),
        headers=HEADERS,
        error=error,
    )


def count_tokens(asked: Asked) -> Reply:
    return Reply(plain=compact({"input_tokens": asked.script.prompt_tokens}), headers=HEADERS, error=error)


def stop_reason(said: Script) -> str:
    return "refusal" if said.refusal else STOP_REASONS[said.finish_reason]


def _events(asked: Asked) -> list[bytes]:
    said = asked.script
    begun: dict[str, Any] = _message(asked) | {"content": [], "stop_reason": None}
    begun["usage"] = _usage(said) | {"output_tokens": 1}
    found = [typed_event({"type": "message_start", "message": begun}, b"     ")]
    for index, block in enumerate(_blocks(said)):
        found += _block(index, block, said)
        if index == 0:
            found.insert(2, PING)
    delta = {"stop_reason": stop_reason(said), "stop_sequence": None}
    usage = {"output_tokens": said.completion_tokens}
    found.append(typed_event({"type": "message_delta", "delta": delta, "usage": usage}, b"  "))
    return found


def _block(index: int, block: dict[str, Any], said: Script) -> list[bytes]:
    kind = block["type"]
    if kind == "thinking":
        empty: dict[str, Any] = {"type": kind, "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": word} for word in said.reasoning]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        empty = block | {"input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *said.tool_arguments)]
    else:
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in said.refusal or said.words]
    start = {"type": "content_block_start", "index": index, "content_block": empty}
    events = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [
        typed_event(e, _PADDING) for e in (start, *events, {"type": "content_block_stop", "index": index})
    ]


def _blocks(said: Script) -> list[dict[str, Any]]:
    """The content: thinking, then a tool's use or text."""
    blocks: list[dict[str, Any]] = []
    if said.reasoning:
        thinking = "".join(said.reasoning)
        blocks.append({"type": "thinking", "thinking": thinking, "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"})
    if said.tool_arguments:
        return [*blocks, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}]
    return [*blocks, {"type": "text", "text": "".join(said.refusal or said.words)}]


def _message(asked: Asked) -> dict[str, Any]:
    model = answered_model(asked.model)
    return {"id": "msg_fake", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}


def _usage(said: Script) -> dict[str, Any]:
    """What was neither read from the cache nor written to it stands apart."""
    written = said.cache_written_tokens
    return {
        "input_tokens": said.prompt_tokens - said.cached_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": said.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": said.completion_tokens,
        "service_tier": "standard",
    }

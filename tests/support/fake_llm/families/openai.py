"""Chat and text completions, and the listings, as OpenAI writes them."""

from __future__ import annotations

from typing import Any

from tests.support.fake_llm import script as chat
from tests.support.fake_llm.reply import Asked, Reply, compact, event, indented
from tests.support.fake_llm.script import CREATED, DONE, SCRIPTS, answered_model, usage


def error(message: str, kind: str, code: str | None = None) -> bytes:
    return chat.error(message, kind, code)


def died() -> bytes:
    """VLLM's word, in the middle of a stream, that it cannot go on."""
    return b"data: " + error("The engine died.", "server_error", "engine_dead") + b"\n\n"


def chat_completions(asked: Asked) -> Reply:
    with_usage = include_usage(asked)
    return Reply(
        plain=chat.plain(asked.model, asked.script),
        streams=asked.flag("stream"),
        events=tuple(chat.events(asked.model, asked.script, include_usage=with_usage)),
        end=DONE,
        failure=(died(), DONE),
        error=error,
    )


def completions(asked: Asked) -> Reply:
    said = asked.script
    asks = include_usage(asked)
    chunks: list[dict[str, Any]] = [_completion(asked, word, None) for word in said.words]
    chunks.append(_completion(asked, "", said.finish_reason))
    if asks:
        chunks = [chunk | {"usage": None} for chunk in chunks]
        chunks.append(_completion(asked, "", None) | {"choices": [], "usage": usage(said)})
    whole = _completion(asked, "".join(said.words), said.finish_reason) | {"usage": usage(said)}
    return Reply(
        plain=compact(whole),
        streams=asked.flag("stream"),
        events=tuple(event(chunk) for chunk in chunks),
        end=DONE,
        failure=(died(), DONE),
        error=error,
    )


def models(asked: Asked) -> Reply:
    return Reply(plain=chat.models(), error=error)


def model(asked: Asked) -> Reply:
    name = asked.path.removeprefix("/v1/models/")
    owner = {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}
    return Reply(plain=indented(owner), error=error)


def known_model(path: str) -> bool:
    """Whether this is the path of a model that is there."""
    return path.removeprefix("/v1/models/") in SCRIPTS


def _completion(asked: Asked, text: str, finish_reason: str | None) -> dict[str, Any]:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": "cmpl-fake",
        "object": "text_completion",
        "created": CREATED,
        "model": answered_model(asked.model),
        "choices": [choice],
    }


def include_usage(asked: Asked) -> bool:
    """Whether the client asked for usage in the stream."""
    options: Any = asked.fields.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True  # pyright: ignore[reportUnknownMemberType] - any JSON

"""Ollama's own API: lines of JSON unless told otherwise, the last with counts, and durations in ns."""

from __future__ import annotations

from typing import Any, Final

from tests.support.fake_llm.reply import Asked, Reply, compact
from tests.support.fake_llm.script import SCRIPTS, Script

NDJSON: Final = "application/x-ndjson"
PLAIN: Final = "application/json; charset=utf-8"
AT: Final = "2026-11-21T02:14:14.385406455Z"
DURATIONS: Final = {
    "total_duration": 4883583458,
    "load_duration": 1334875,
    "prompt_eval_duration": 342546000,
    "eval_duration": 4535599000,
}


def error(message: str, kind: str, code: str | None = None) -> bytes:
    return compact({"error": message})


def chat(asked: Asked) -> Reply:
    said = asked.script
    calls = [{"function": {"index": 0, "name": "weather", "arguments": {"city": "Bern"}}}]
    parts: list[dict[str, Any]] = [{"content": "", "thinking": word} for word in said.reasoning]
    parts += [{"content": "", "tool_calls": calls}] if said.tool_arguments else []
    parts += [{"content": word} for word in _words(said)]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_words(said))}
    if said.reasoning:
        message["thinking"] = "".join(said.reasoning)
    if said.tool_arguments:
        message["tool_calls"] = calls
    return _reply(
        asked,
        pieces=[{"message": {"role": "assistant", **part}} for part in parts],
        last={"message": {"role": "assistant", "content": ""}},
        whole={"message": message},
    )


def generate(asked: Asked) -> Reply:
    """The last line gives the whole context back as numbers: it is a long one after a long prompt."""
    said = asked.script
    pieces: list[dict[str, Any]] = [{"response": "", "thinking": word} for word in said.reasoning]
    pieces += [{"response": word} for word in _words(said)]
    context = {"context": list(range(said.prompt_tokens))}
    whole = {"response": "".join(_words(said))}
    return _reply(asked, pieces=pieces, last={"response": ""}, whole=whole, context=context)


def embed(asked: Asked) -> Reply:
    body = {
        "model": asked.model,
        "embeddings": [[0.010071029, -0.0017594862, 0.05007221]],
        "total_duration": 14143917,
        "load_duration": 1019500,
        "prompt_eval_count": asked.script.prompt_tokens,
    }
    return Reply(plain=compact(body), plain_type=PLAIN, headers=(), error=error)


def embeddings(asked: Asked) -> Reply:
    return Reply(
        plain=compact({"embedding": [0.5670403838, 0.009260174, 0.23178744]}),
        plain_type=PLAIN,
        headers=(),
        error=error,
    )


def tags(asked: Asked) -> Reply:
    details = {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    known = {"modified_at": AT, "size": 2019393189, "digest": "a80c4f17", "details": details}
    listed = [{"name": name, "model": name, **known} for name in SCRIPTS]
    return Reply(plain=compact({"models": listed}), plain_type=PLAIN, headers=(), error=error)


def show(asked: Asked) -> Reply:
    body = {
        "modelfile": "# Modelfile\nFROM llama",
        "details": {"family": "llama"},
        "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
        "capabilities": ["completion"],
    }
    return Reply(plain=compact(body), plain_type=PLAIN, headers=(), error=error)


def version(asked: Asked) -> Reply:
    return Reply(plain=compact({"version": "0.13.0"}), plain_type=PLAIN, headers=(), error=error)


def _words(said: Script) -> tuple[str, ...]:
    return said.refusal or said.words


def _reply(
    asked: Asked,
    *,
    pieces: list[dict[str, Any]],
    last: dict[str, Any],
    whole: dict[str, Any],
    context: dict[str, Any] | None = None,
) -> Reply:
    said = asked.script
    base = {"model": asked.model, "created_at": AT}
    counts = {"prompt_eval_count": said.prompt_tokens, "eval_count": said.completion_tokens}
    done = {
        "done": True,
        "done_reason": "length" if said.finish_reason == "length" else "stop",
        **(context or {}),
        **DURATIONS,
        **counts,
    }
    return Reply(
        plain=compact({**base, **whole, **done}),
        plain_type=PLAIN,
        streams=asked.flag("stream", default=True),
        stream_type=NDJSON,
        events=tuple(compact({**base, **piece, "done": False}) + b"\n" for piece in pieces),
        end=compact({**base, **last, **done}) + b"\n",
        failure=(compact({"error": "The engine died."}) + b"\n",),
        headers=(),
        error=error,
    )

"""Audio and images, as OpenAI writes them: forms, binary answers, and streams of typed events."""

from __future__ import annotations

import base64
from typing import Any, Final

from tests.support.fake_llm.families.openai import error
from tests.support.fake_llm.reply import Asked, Reply, compact, event, indented, typed_event
from tests.support.fake_llm.script import CREATED, Script

AUDIO: Final = b"\xff\xfb\x90\x00ID3\r\n\r\n\n\n" + bytes(range(256)) * 8
DIED: Final = typed_event(
    {"type": "error", "code": "server_error", "message": "The engine died.", "param": None}
)


def speech(asked: Asked) -> Reply:
    said = asked.script
    deltas = [{"type": "speech.audio.delta", "audio": "SUQzBAAAAAAA"} for _ in said.words]
    done = {"type": "speech.audio.done", "usage": _counts(said)}
    return Reply(
        plain=AUDIO,
        plain_type="audio/mpeg",
        streams=asked.fields.get("stream_format") == "sse",
        events=tuple(event(delta) for delta in deltas),
        end=event(done),
        failure=(DIED,),
        error=error,
    )


def transcriptions(asked: Asked) -> Reply:
    """JSON with tokens; JSON with seconds by whisper; or text."""
    said = asked.script
    text = "".join(said.words)
    usage: dict[str, Any] = {
        "type": "tokens",
        **_counts(said),
        "input_token_details": {"text_tokens": 0, "audio_tokens": said.prompt_tokens},
    }
    if asked.model == "short":
        usage = {"type": "duration", "seconds": 9}
    deltas = [{"type": "transcript.text.delta", "delta": word, "logprobs": None} for word in said.words]
    done = {"type": "transcript.text.done", "text": text, "logprobs": None, "usage": usage}
    as_text = asked.fields.get("response_format") == "text"
    return Reply(
        plain=text.encode() + b"\n" if as_text else compact({"text": text, "usage": usage}),
        plain_type="text/plain; charset=utf-8" if as_text else "application/json",
        streams=asked.flag("stream"),
        events=tuple(event(delta) for delta in deltas),
        end=event(done),
        failure=(DIED,),
        error=error,
    )


def translations(asked: Asked) -> Reply:
    return Reply(plain=compact({"text": "".join(asked.script.words)}), error=error)


def images(asked: Asked) -> Reply:
    """Generations and edits. The last event carries the whole picture, so it is often a large one."""
    said = asked.script
    kind = "image_edit" if asked.path.endswith("edits") else "image_generation"
    picture = base64.b64encode(b"\x89PNG" * (80_000 if asked.model == "huge" else 40)).decode()
    usage = {
        **_counts(said),
        "input_tokens_details": {"text_tokens": said.prompt_tokens, "image_tokens": 0},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": said.completion_tokens},
    }
    look = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
    body = {"created": CREATED, **look, "data": [{"b64_json": picture}], "usage": usage}
    partial = {"type": f"{kind}.partial_image", "created_at": CREATED, **look, "b64_json": picture[:80]}
    partials = range(int(asked.fields.get("partial_images", 0)))
    done = {"type": f"{kind}.completed", "created_at": CREATED, **look, "b64_json": picture, "usage": usage}
    return Reply(
        plain=indented(body),
        streams=asked.flag("stream"),
        events=tuple(typed_event({**partial, "partial_image_index": n}) for n in partials),
        end=typed_event(done),
        failure=(DIED,),
        error=error,
    )


def variations(asked: Asked) -> Reply:
    return Reply(
        plain=compact({"created": CREATED, "data": [{"url": "https://example.com/1.png"}]}), error=error
    )


def _counts(said: Script) -> dict[str, int]:
    return {
        "input_tokens": said.prompt_tokens,
        "output_tokens": said.completion_tokens,
        "total_tokens": said.prompt_tokens + said.completion_tokens,
    }

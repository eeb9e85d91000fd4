"""Which endpoint answers how: the fake's own table, written from the vendors' documents, not from ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.support.fake_llm.families import (
    anthropic,
    ollama,
    openai,
    openai_media,
    openai_plain,
    openai_responses,
)
from tests.support.fake_llm.reply import Asked, Reply

Family = Callable[[Asked], Reply]

FAMILIES: Final[dict[tuple[str, str], Family]] = {
    ("POST", "/v1/chat/completions"): openai.chat_completions,
    ("POST", "/v1/completions"): openai.completions,
    ("GET", "/v1/models"): openai.models,
    ("POST", "/v1/responses"): openai_responses.responses,
    ("POST", "/v1/embeddings"): openai_plain.embeddings,
    ("POST", "/v1/moderations"): openai_plain.moderations,
    ("POST", "/v1/audio/speech"): openai_media.speech,
    ("POST", "/v1/audio/transcriptions"): openai_media.transcriptions,
    ("POST", "/v1/audio/translations"): openai_media.translations,
    ("POST", "/v1/images/generations"): openai_media.images,
    ("POST", "/v1/images/edits"): openai_media.images,
    ("POST", "/v1/images/variations"): openai_media.variations,
    ("POST", "/v1/rerank"): openai_plain.rerank,
    ("POST", "/v2/rerank"): openai_plain.rerank,
    ("POST", "/rerank"): openai_plain.rerank,
    ("POST", "/v1/score"): openai_plain.score,
    ("POST", "/score"): openai_plain.score,
    ("POST", "/v1/tokenize"): openai_plain.tokenize,
    ("POST", "/tokenize"): openai_plain.tokenize,
    ("POST", "/v1/messages"): anthropic.messages,
    ("POST", "/v1/messages/count_tokens"): anthropic.count_tokens,
    ("POST", "/api/chat"): ollama.chat,
    ("POST", "/api/generate"): ollama.generate,
    ("POST", "/api/embed"): ollama.embed,
    ("POST", "/api/embeddings"): ollama.embeddings,
    ("POST", "/api/show"): ollama.show,
    ("GET", "/api/tags"): ollama.tags,
    ("GET", "/api/version"): ollama.version,
}


def family_of(method: str, path: str) -> Family | None:
    """Who answers here; None if there is nothing."""
    if method == "GET" and path.startswith("/v1/models/") and openai.known_model(path):
        return openai.model
    return FAMILIES.get((method, path))

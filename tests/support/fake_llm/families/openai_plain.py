"""What answers in one piece: embeddings and moderations by OpenAI, rerank, score and tokenize by vLLM."""

from __future__ import annotations

import base64
import struct
from typing import Any

from tests.support.fake_llm.families.openai import error
from tests.support.fake_llm.reply import Asked, Reply, compact, indented
from tests.support.fake_llm.script import CREATED, answered_model


def embeddings(asked: Asked) -> Reply:
    """Numbers, or their bytes in base64 as openai-python asks; of a `huge` model over a megabyte of them."""
    count = 250_000 if asked.model == "huge" else 4
    vector: Any = [round(0.001 * (n % 997) - 0.4, 4) for n in range(count)]
    if asked.fields.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{count}f", *vector)).decode()
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": answered_model(asked.model),
        "usage": {"prompt_tokens": asked.script.prompt_tokens, "total_tokens": asked.script.prompt_tokens},
    }
    return Reply(plain=indented(body), error=error)


def moderations(asked: Asked) -> Reply:
    result = {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 1.3e-06}}
    body = {"id": "modr-fake", "model": answered_model(asked.model), "results": [result]}
    return Reply(plain=indented(body), error=error)


def rerank(asked: Asked) -> Reply:
    documents = [{"index": 1, "document": {"text": "Bern"}, "relevance_score": 0.98}]
    usage = {"prompt_tokens": asked.script.prompt_tokens, "total_tokens": asked.script.prompt_tokens}
    body = {
        "id": "rerank-fake",
        "model": answered_model(asked.model),
        "usage": usage,
        "results": documents,
    }
    return Reply(plain=compact(body), error=error)


def score(asked: Asked) -> Reply:
    tokens = asked.script.prompt_tokens
    body = {
        "id": "score-fake",
        "object": "list",
        "created": CREATED,
        "model": answered_model(asked.model),
        "data": [{"index": 0, "object": "score", "score": 0.73}],
        "usage": {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    }
    return Reply(plain=compact(body), error=error)


def tokenize(asked: Asked) -> Reply:
    body = {"count": 3, "max_model_len": 4096, "tokens": [15043, 3186, 0], "token_strs": None}
    return Reply(plain=compact(body), error=error)

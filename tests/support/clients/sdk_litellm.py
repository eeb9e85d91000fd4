"""The litellm SDK, in each dialect that it speaks to us: what it makes of an answer, as JSON."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (it is installed in an environment of its own)

import json
import sys
from typing import Any

import litellm

HELLO: Any = [{"role": "user", "content": "Hello"}]
ROUTES = {"openai": "/v1", "anthropic": "", "ollama_chat": ""}
found: dict[str, Any] = {}
litellm.telemetry = False
litellm.drop_params = True


def message(answer: Any) -> Any:
    said = answer.choices[0].message
    counts = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    return [said.content, len(said.tool_calls or []), answer.choices[0].finish_reason, counts]


def delta(chunk: Any) -> Any:
    return [chunk.choices[0].delta.content, chunk.choices[0].finish_reason]


for provider, path in ROUTES.items():
    for model in ("answer", "tools", "length"):
        asked: Any = {
            "model": f"{provider}/{model}",
            "messages": HELLO,
            "api_base": sys.argv[1] + path,
            "api_key": "sk-litellm",
            "num_retries": 0,
            "max_tokens": 99,
        }
        found[f"{provider} {model}"] = message(litellm.completion(**asked))
        found[f"{provider} {model} stream"] = [delta(c) for c in litellm.completion(**asked, stream=True)]
vectors = litellm.embedding(
    model="openai/answer", input=["Hello"], api_base=f"{sys.argv[1]}/v1", api_key="sk-litellm"
)
found["embedding"] = vectors.data[0]["embedding"]
try:
    litellm.completion(
        model="openai/answer:429", messages=HELLO, api_base=f"{sys.argv[1]}/v1", api_key="sk", num_retries=0
    )
except litellm.RateLimitError as error:
    found["429"] = [type(error).__name__, error.status_code]
sys.stdout.write(json.dumps(found))

"""anthropic: what it makes of each kind of answer, as JSON."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (it is installed in an environment of its own)

import json
import sys
from typing import Any

import anthropic

HELLO: Any = [{"role": "user", "content": "Hello"}]
found: dict[str, Any] = {}
client = anthropic.Anthropic(base_url=sys.argv[1], api_key="sk-ant", max_retries=0)


def dump(value: Any) -> Any:
    return value.model_dump(mode="json", warnings=False)


for model in ("answer", "tools", "reasoning", "refusal", "cached", "length", "huge"):
    asked: Any = {"model": model, "messages": HELLO, "max_tokens": 99}
    found[f"message {model}"] = dump(client.messages.create(**asked))
    found[f"message {model} events"] = [dump(e) for e in client.messages.create(**asked, stream=True)]
    with client.messages.stream(**asked) as stream:
        found[f"message {model} stream"] = dump(stream.get_final_message())
found["count"] = dump(client.messages.count_tokens(model="answer", messages=HELLO))

for manner in ("400", "429", "503", "error-event"):
    try:
        for _ in client.messages.create(model=f"answer:{manner}", messages=HELLO, max_tokens=9, stream=True):
            pass
    except anthropic.APIError as error:
        found[manner] = [type(error).__name__, getattr(error, "status_code", None), error.message]
sys.stdout.write(json.dumps(found))

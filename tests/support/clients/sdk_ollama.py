"""ollama: what it makes of each kind of answer, as JSON."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (it is installed in an environment of its own)

import json
import sys
from typing import Any

import ollama

HELLO: Any = [{"role": "user", "content": "Hello"}]
found: dict[str, Any] = {}
client = ollama.Client(host=sys.argv[1])


def dump(value: Any) -> Any:
    return value.model_dump(mode="json")


for model in ("answer", "tools", "reasoning", "length", "huge"):
    found[f"chat {model}"] = dump(client.chat(model=model, messages=HELLO))
    found[f"chat {model} stream"] = [dump(p) for p in client.chat(model=model, messages=HELLO, stream=True)]
    found[f"generate {model}"] = dump(client.generate(model=model, prompt="Hello"))
    found[f"generate {model} stream"] = [
        dump(part) for part in client.generate(model=model, prompt="Hello", stream=True)
    ]
found["embed"] = dump(client.embed(model="answer", input="Hello"))
found["embeddings"] = dump(client.embeddings(model="answer", prompt="Hello"))
found["list"] = [model.model for model in client.list().models]
found["show"] = dump(client.show("answer"))

for manner in ("400", "503", "error-event"):
    try:
        for _ in client.chat(model=f"answer:{manner}", messages=HELLO, stream=True):
            pass
    except ollama.ResponseError as error:
        found[manner] = [error.status_code, error.error]
sys.stdout.write(json.dumps(found))

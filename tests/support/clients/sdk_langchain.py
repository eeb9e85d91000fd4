"""langchain-openai: what it makes of an answer, as JSON."""
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (it is installed in an environment of its own)

import json
import sys
from typing import Any

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

BASE: Any = {"base_url": f"{sys.argv[1]}/v1", "api_key": "sk-langchain", "max_retries": 0}
VARYING = {"id", "additional_kwargs"}
found: dict[str, Any] = {}


def dump(value: Any) -> Any:
    return value.model_dump(mode="json", exclude=VARYING)


for model in ("answer", "tools", "length"):
    for responses in (False, True):
        chat = ChatOpenAI(model=model, use_responses_api=responses, stream_usage=True, **BASE)
        found[f"{model} {responses}"] = dump(chat.invoke("Hello"))
        found[f"{model} {responses} stream"] = [dump(chunk) for chunk in chat.stream("Hello")]
embeddings = OpenAIEmbeddings(model="answer", check_embedding_ctx_length=False, **BASE)
found["embeddings"] = embeddings.embed_query("Hello")
sys.stdout.write(json.dumps(found))

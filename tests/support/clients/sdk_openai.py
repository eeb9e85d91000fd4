"""openai-python, the old one and the new: what it makes of each kind of answer, as JSON."""

import asyncio
import json
import sys
from typing import Any

import openai

HELLO: Any = [{"role": "user", "content": "Hello"}]
found: dict[str, Any] = {"version": openai.__version__.partition(".")[0]}
client = openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="sk-python", max_retries=0)


def dump(value: Any) -> Any:
    return value.model_dump(mode="json", warnings=False)


def failure(error: openai.APIError) -> list[Any]:
    return [type(error).__name__, getattr(error, "status_code", None), error.code, error.message]


for model in ("answer", "tools", "reasoning", "refusal", "length", "huge"):
    found[f"chat {model}"] = dump(client.chat.completions.create(model=model, messages=HELLO))
    found[f"chat {model} stream"] = [
        dump(chunk) for chunk in client.chat.completions.create(model=model, messages=HELLO, stream=True)
    ]
    found[f"response {model}"] = dump(client.responses.create(model=model, input="Hello"))
    found[f"response {model} stream"] = [
        dump(event) for event in client.responses.create(model=model, input="Hello", stream=True)
    ]
found["usage"] = [
    dump(chunk)
    for chunk in client.chat.completions.create(
        model="answer", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
]
found["completion"] = dump(client.completions.create(model="answer", prompt="Hello"))
found["completion stream"] = [
    dump(chunk) for chunk in client.completions.create(model="answer", prompt="Hello", stream=True)
]
found["embeddings"] = dump(client.embeddings.create(model="answer", input="Hello"))
found["moderation"] = client.moderations.create(model="answer", input="Hello").model
found["models"] = [model.id for model in client.models.list()]
found["model"] = dump(client.models.retrieve("answer"))
found["speech"] = client.audio.speech.create(model="answer", input="Hello", voice="alloy").content.hex()
voice = ("model.mp3", b'RIFF\r\nname="model"\r\n\r\nno\r\n\xff')
found["transcription"] = dump(client.audio.transcriptions.create(model="answer", file=voice))
found["transcription stream"] = [
    dump(event) for event in client.audio.transcriptions.create(model="answer", file=voice, stream=True)
]
found["translation"] = dump(
    client.audio.translations.create(model="answer", file=voice)  # pyright: ignore[reportDeprecated] - served
)
found["image"] = dump(client.images.generate(model="answer", prompt="a weir"))
found["edit"] = dump(client.images.edit(model="answer", prompt="a weir", image=("a.png", b"\x89PNG")))

for manner in ("400", "429", "503", "error-event"):
    try:
        for _ in client.chat.completions.create(model=f"answer:{manner}", messages=HELLO, stream=True):
            pass
    except openai.APIError as error:
        found[manner] = failure(error)


async def several() -> list[Any]:
    """Twenty at once over one pool of connections."""
    async with openai.AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="sk-python", max_retries=0) as many:
        asked = [many.chat.completions.create(model="answer", messages=HELLO) for _ in range(20)]
        return [dump(answer) for answer in await asyncio.gather(*asked)]


found["several"] = asyncio.run(several())
sys.stdout.write(json.dumps(found))

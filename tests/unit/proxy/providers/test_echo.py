"""The demo model: a script of delays and bytes in OpenAI's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from weir.proxy.providers import echo
from weir.proxy.providers.openai import OpenAI
from weir.proxy.providers.provider import Added


def script(**document: Any) -> list[tuple[float, bytes]]:
    body = json.dumps(document).encode()
    return list(echo.answer(body, OpenAI().read_request(body), "id-1"))


def said(*words: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": word} for word in words]


def test_a_plain_answer_repeats_the_last_message() -> None:
    ((delay, body),) = script(model="demo", messages=said("no", "so it is"))
    answer = json.loads(body)
    assert answer["choices"][0]["message"]["content"].endswith("You said: so it is")
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == 3
    assert delay > echo.PREFILL_SECONDS


@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_comes_token_by_token(asked: bool) -> None:
    pieces = script(model="m", stream=True, stream_options={"include_usage": asked}, messages=said("a b"))
    reader = OpenAI().reader(stream=True, added=Added.NOTHING)
    for number, (_, piece) in enumerate(pieces):
        assert reader.feed(piece, float(number)) == piece
    reader.finish()
    assert reader.facts.ended
    assert reader.facts.finish_reason == "stop"
    assert (reader.facts.usage is not None) is asked
    if reader.facts.usage is not None:
        assert reader.facts.usage.completion_tokens == reader.facts.content_chunks
    assert [delay for delay, _ in pieces[1:-2]] == [echo.TOKEN_SECONDS] * len(pieces[1:-2])


@pytest.mark.parametrize(
    ("limits", "tokens", "reason"),
    [
        ({"max_tokens": 3}, 3, "length"),
        ({"max_completion_tokens": 2, "max_tokens": 9}, 2, "length"),
        ({"max_tokens": 0}, None, "stop"),
        ({"max_tokens": "many"}, None, "stop"),
    ],
)
def test_it_stops_where_it_is_told_to(limits: dict[str, Any], tokens: int | None, reason: str) -> None:
    ((_, body),) = script(messages=said("hi"), **limits)
    answer = json.loads(body)
    assert answer["choices"][0]["finish_reason"] == reason
    assert tokens is None or answer["usage"]["completion_tokens"] == tokens


def test_long_prompts_get_bounded_answers() -> None:
    ((_, body),) = script(messages=said("word " * 10_000))
    assert json.loads(body)["usage"]["completion_tokens"] == echo.MAX_TOKENS


@pytest.mark.parametrize(
    "messages",
    [None, [], "x", [7], [{}], [{"content": None}], [{"content": [7, {"type": "image_url"}, {"text": "t"}]}]],
)
def test_odd_messages_are_answered_too(messages: Any) -> None:
    assert len(script(messages=messages)) == 1


def test_text_that_is_none_is_answered_too() -> None:
    body = b'{"messages":[{"content":"\xff"}]}'
    assert len(list(echo.answer(body, OpenAI().read_request(body), "id-1"))) == 1


def test_its_models() -> None:
    assert [model["id"] for model in json.loads(echo.models())["data"]] == ["demo"]

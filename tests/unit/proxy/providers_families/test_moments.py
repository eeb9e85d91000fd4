"""When the first token came, when the first answer, when the last: events as each vendor sends them."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.transport import in_pieces

from weir.proxy.providers import DIALECTS
from weir.proxy.providers.provider import Added

if TYPE_CHECKING:
    from weir.proxy.exchange import AnswerFacts


class Told(NamedTuple):
    """A stream's events, and which of them is the first token, the first answer, the last token."""

    dialect: str
    events: list[str]
    first: int | None
    answer: int | None
    last: int | None
    chunks: int


def chat(*deltas: str) -> list[str]:
    return [f'data: {{"model":"m","choices":[{{"index":0,"delta":{delta}}}]}}' for delta in deltas]


def typed(*documents: str) -> list[str]:
    return [f"event: e\ndata: {document}" for document in documents]


KEEP_ALIVE: Final = ": keep-alive"
STREAMS: Final = {
    "chat": Told(
        "openai.chat",
        [
            KEEP_ALIVE,
            *chat('{"role":"assistant","content":""}', '{"content":"a"}', '{"content":"b"}', "{}"),
            'data: {"choices":[],"usage":{"prompt_tokens":1}}',
            "data: [DONE]",
        ],
        *(2, 2, 3, 2),
    ),
    "chat-spaced": Told(
        "openai.chat", ['data:{"choices": [{"delta": {"content": "a"}}]}', "data:[DONE]"], *(0, 0, 0, 1)
    ),
    "chat-null-role": Told(
        "openai.chat", chat('{"role":"assistant","content":null}', '{"content":"a"}'), *(1, 1, 1, 1)
    ),
    "chat-tool": Told(
        "openai.chat",
        chat(
            '{"role":"assistant","content":null}',
            '{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}',
            '{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}',
            "{}",
        ),
        *(1, 1, 2, 2),
    ),
    "chat-refusal": Told("openai.chat", chat('{"content":""}', '{"refusal":"No"}'), *(1, 1, 1, 1)),
    "deepseek": Told(
        "openai.chat",
        chat(
            '{"role":"assistant","content":null,"reasoning_content":""}',
            '{"content":null,"reasoning_content":"Hm"}',
            '{"content":"42","reasoning_content":null}',
        ),
        *(1, 2, 2, 2),
    ),
    "vllm-reasoning": Told(
        "openai.chat",
        chat('{"role":"assistant","content":""}', '{"reasoning":"Hm"}', '{"content":"42"}'),
        *(1, 2, 2, 2),
    ),
    "openrouter-reasoning": Told(
        "openai.chat",
        [
            ": OPENROUTER PROCESSING",
            *chat(
                '{"role":"assistant","content":"","reasoning":"Hm",'
                '"reasoning_details":[{"type":"reasoning.text","text":"Hm","index":0}]}',
                '{"role":"assistant","content":"42"}',
            ),
        ],
        *(1, 2, 2, 2),
    ),
    "mistral-thinking": Told(
        "openai.chat",
        chat(
            '{"role":"assistant","content":""}',
            '{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}]}',
            '{"content":[{"type":"text","text":"42"}]}',
        ),
        *(1, 2, 2, 2),
    ),
    "thinking-then-a-tool": Told(
        "openai.chat",
        chat(
            '{"reasoning_details":[{"text":"Hm"}]}',
            '{"tool_calls":[{"index":0,"function":{"name":"f"}}]}',
        ),
        *(0, 1, 1, 2),
    ),
    "completions": Told(
        "openai.chat",
        ['data: {"choices":[{"text":"","index":0}]}', 'data: {"choices":[{"text":"a","index":0}]}'],
        *(1, 1, 1, 1),
    ),
    "chat-without-content": Told("openai.chat", chat('{"role":"assistant"}', "{}"), None, None, None, 0),
    "responses": Told(
        "openai.events",
        typed(
            '{"type":"response.created","response":{"status":"in_progress"}}',
            '{"type":"response.reasoning_summary_text.delta","delta":"Hm"}',
            '{"type":"response.reasoning_summary_text.done","text":"Hm"}',
            '{"type":"response.output_text.delta","delta":""}',
            '{"type":"response.output_text.delta","delta":"42"}',
            '{"delta":"","type":"response.output_text.delta"}',
            '{"type":"response.function_call_arguments.delta","delta":"{}"}',
            '{"type":"response.output_text.done","text":"42"}',
            '{"type":"response.completed","response":{"status":"completed"}}',
        ),
        *(1, 4, 6, 3),
    ),
    "responses-spaced": Told(
        "openai.events",
        typed('{"type": "response.created"}', '{"type": "response.output_text.delta", "delta": "a"}'),
        *(1, 1, 1, 1),
    ),
    "speech": Told(
        "openai.speech",
        typed('{"type":"speech.audio.delta","audio":"AAAA"}', '{"type":"speech.audio.done"}'),
        *(0, 0, 0, 1),
    ),
    "image": Told(
        "openai.events",
        typed(
            '{"type":"image_generation.partial_image","b64_json":"AAAA"}',
            '{"type":"image_generation.completed","b64_json":"AAAA"}',
        ),
        *(0, 0, 1, 2),
    ),
    "anthropic": Told(
        "anthropic.messages",
        typed(
            '{"type":"message_start","message":{"model":"m","content":[],"usage":{"input_tokens":3}}}',
            '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
            '{"type":"ping"}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}',
            '{"type":"content_block_stop","index":0}',
            '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}',
            '{"type":"message_stop"}',
        ),
        *(3, 3, 4, 2),
    ),
    "anthropic-thinking-and-tool": Told(
        "anthropic.messages",
        typed(
            '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}',
            '{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}',
            '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"f","input":{}}}',
            '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}',
            '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}',
            '{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}',
        ),
        *(1, 3, 5, 3),
    ),
    "ollama-chat": Told(
        "ollama.chat",
        [
            '{"model":"m","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}',
            '{"model":"m","message":{"role":"assistant","content":"42"},"done":false}',
            '{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}',
        ],
        *(0, 1, 1, 2),
    ),
    "ollama-tool": Told(
        "ollama.chat",
        [
            '{"model":"m","message":{"role":"assistant","content":""},"done":false}',
            '{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}',
        ],
        *(1, 1, 1, 1),
    ),
    "ollama-generate": Told(
        "ollama.chat",
        ['{"model":"m","response":"","done":false}', '{"model":"m","response":"a","done":false}'],
        *(1, 1, 1, 1),
    ),
}


def bytes_of(told: Told, end: str = "\n") -> list[bytes]:
    if told.dialect.startswith("ollama"):
        return [f"{line}\n".encode() for line in told.events]
    return [f"{event}\n\n".replace("\n", end).encode() for event in told.events]


def moments(facts: AnswerFacts) -> tuple[Any, ...]:
    return facts.first_token_at, facts.first_answer_at, facts.last_token_at, facts.content_chunks


@pytest.mark.parametrize("added", [Added.NOTHING, Added.LAST, Added.LAST | Added.EACH])
@pytest.mark.parametrize("name", STREAMS)
def test_the_moments_of_content(name: str, added: Added) -> None:
    told = STREAMS[name]
    reader = DIALECTS[told.dialect].reader(stream=True, added=added)
    for second, event in enumerate(bytes_of(told)):
        reader.feed(event, float(second))
    reader.finish()
    assert moments(reader.facts) == (told.first, told.answer, told.last, told.chunks)


@pytest.mark.parametrize("name", STREAMS)
@given(ends=st.lists(st.integers(0, 900), max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_moment_is_that_of_the_events_last_byte(name: str, ends: list[int], end: str) -> None:
    """However the bytes come: an event is there when it is whole, and counts once."""
    told = STREAMS[name]
    events = bytes_of(told, end)
    pieces = in_pieces(b"".join(events), ends)
    reader = DIALECTS[told.dialect].reader(stream=True, added=Added.NOTHING)
    for second, piece in enumerate(pieces):
        reader.feed(piece, float(second))
    reader.finish()
    came: list[int] = []
    """The piece that brought the end of each event."""
    passed, second = 0, 0
    reached = [sum(map(len, pieces[: count + 1])) for count in range(len(pieces))]
    for event in events:
        # A CRLF is an end with its CR already where the line before it was empty; its LF may come later.
        passed += len(event)
        while second < len(pieces) - 1 and reached[second] < passed:
            second += 1
        came.append(second)
    expected = [None if index is None else came[index] for index in (told.first, told.answer, told.last)]
    assert list(moments(reader.facts)) == [*expected, told.chunks]


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.events", "anthropic.messages", "ollama.chat"])
def test_an_event_of_sixteen_megabytes_takes_little_memory(dialect: str) -> None:
    reader = DIALECTS[dialect].reader(stream=True, added=Added.LAST)
    is_lines = dialect.startswith("ollama")
    start = b'{"message":{"content":"' if is_lines else b'data: {"choices":[{"delta":{"content":"'
    end = b'"},"done":false}\n' if is_lines else b'"}}]}\n\n'
    piece = b"w" * 65_536
    size = 0
    tracemalloc.start()
    try:
        for data in (start, *[piece] * 256, end):
            size += len(reader.feed(data, 1.0))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert size == len(start) + 256 * len(piece) + len(end)
    assert reader.between_events

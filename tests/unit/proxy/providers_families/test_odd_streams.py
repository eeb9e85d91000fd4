"""What vendors do beside the usual: other orders of fields, counts that grow, ends without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.fake_llm.reply import compact, event, typed_event

from weir.proxy.providers import DIALECTS
from weir.proxy.providers.provider import Added

if TYPE_CHECKING:
    from weir.proxy.exchange import AnswerFacts


def read(dialect: str, *pieces: bytes) -> AnswerFacts:
    reader = DIALECTS[dialect].reader(stream=True, added=Added.NOTHING)
    out = b"".join([*(reader.feed(piece, float(now)) for now, piece in enumerate(pieces)), reader.finish()])
    assert out == b"".join(pieces)
    return reader.facts


USAGE: dict[str, Any] = {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14}


@pytest.mark.parametrize("size", [10, 30_000, 200_000])
@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_a_terminal_event_whose_type_comes_last(size: int, status: str) -> None:
    """VLLM writes `response` first, and `usage` at its end."""
    details = {"reason": "max_output_tokens"} if status == "incomplete" else None
    output = [{"type": "message", "content": [{"type": "output_text", "text": "w" * size}]}]
    response = {
        "id": "resp_1",
        "incomplete_details": details,
        "model": "m",
        "output": output,
        "status": status,
    }
    last = compact(
        {"response": response | {"usage": USAGE}, "sequence_number": 7, "type": f"response.{status}"}
    )
    body = b"event: response." + status.encode() + b"\ndata: " + last + b"\n\n"
    facts = read("openai.events", *(body[at : at + 16_384] for at in range(0, len(body), 16_384)))
    assert facts.ended
    assert facts.usage is not None
    assert facts.usage.total_tokens == 14
    if size < 60_000:
        assert facts.finish_reason == ("max_output_tokens" if details else "completed")
    else:
        assert facts.finish_reason == status, "the reason has passed with the first piece"


def test_a_terminal_event_that_breaks_off_did_not_end() -> None:
    body = typed_event({"type": "response.completed", "response": {"output": "w" * 200_000, "usage": USAGE}})
    facts = read("openai.events", body[:100_000], body[100_000:150_000])
    assert (facts.ended, facts.usage) == (False, None)


def test_anthropics_counts_grow_and_a_null_unsays_nothing() -> None:
    start = {
        "type": "message_start",
        "message": {"model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}},
    }
    delta: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    facts = read(
        "anthropic.messages",
        typed_event(start),
        typed_event(delta | {"usage": {"output_tokens": 10, "cache_read_input_tokens": 7}}),
        typed_event(delta | {"usage": {"output_tokens": 12, "input_tokens": None}}),
        typed_event({"type": "message_stop"}),
    )
    assert facts.usage is not None
    assert (facts.usage.prompt_tokens, facts.usage.completion_tokens) == (10, 12)
    assert (facts.usage.cache_read_tokens, facts.usage.cache_write_tokens) == (7, None)


def test_anthropics_count_at_the_start_is_none_of_what_came_out() -> None:
    """Of a stream that is broken off the output is unknown; 1 stands there as a placeholder."""
    usage = {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}
    start = {"type": "message_start", "message": {"model": "m", "usage": usage}}
    word = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    facts = read("anthropic.messages", typed_event(start), typed_event(word))
    assert facts.usage is not None
    assert (facts.usage.prompt_tokens, facts.usage.cache_read_tokens) == (7, 4)
    assert (facts.usage.completion_tokens, facts.usage.total_tokens) == (None, None)


def test_words_that_look_like_events_are_words() -> None:
    """A model that writes JSON: its quotes are escaped, so nothing of it is taken for the protocol."""
    text = (
        '{"type":"message_stop"} {"type":"error"} "done":true,"done_reason":"stop" "usage":{"input_tokens":1}'
    )
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    facts = read("anthropic.messages", typed_event(delta))
    assert (facts.ended, facts.error_type, facts.usage, facts.content_chunks) == (False, None, None, 1)
    line = compact({"model": "m", "message": {"role": "assistant", "content": text}, "done": False}) + b"\n"
    facts = read("ollama.chat", line)
    assert (facts.ended, facts.error_type, facts.usage, facts.content_chunks) == (False, None, None, 1)
    word = typed_event({"type": "response.output_text.delta", "delta": text})
    facts = read("openai.events", word)
    assert (facts.ended, facts.error_type, facts.usage, facts.content_chunks) == (False, None, None, 1)


def test_a_tool_called_with_done_does_not_end_ollamas_stream() -> None:
    call = {
        "function": {"name": "finish", "arguments": {"done": True, "done_reason": "stop", "eval_count": 5}}
    }
    line = compact({"model": "m", "message": {"content": "", "tool_calls": [call]}, "done": False}) + b"\n"
    assert not read("ollama.chat", line).ended


def test_ollamas_last_line_may_lack_its_end() -> None:
    last = compact({"model": "m", "response": "", "done": True, "done_reason": "stop", "eval_count": 2})
    facts = read("ollama.chat", last)
    assert facts.ended
    assert facts.usage is not None
    assert (facts.usage.prompt_tokens, facts.usage.completion_tokens, facts.usage.total_tokens) == (
        None,
        2,
        None,
    )


def test_seconds_of_audio_are_no_tokens() -> None:
    reader = DIALECTS["openai.form"].reader(stream=False, added=Added.NOTHING)
    reader.feed(b'{"text":"Hi","usage":{"type":"duration","seconds":9}}', 1.0)
    reader.finish()
    assert reader.facts.usage is not None
    assert reader.facts.usage.prompt_tokens is None
    assert reader.facts.usage.raw == {"type": "duration", "seconds": 9}


def test_llamacpp_tells_its_counts_unasked() -> None:
    timings = {"cache_n": 30, "prompt_n": 1, "predicted_n": 4, "predicted_ms": 0.145}
    chunk: dict[str, Any] = {"choices": [{"finish_reason": "length", "index": 0, "delta": {}}], "model": "m"}
    facts = read("openai.chat", event(chunk | {"timings": timings}), b"data: [DONE]\n\n")
    assert facts.usage is not None
    assert (facts.usage.prompt_tokens, facts.usage.completion_tokens) == (31, 4)
    assert (facts.usage.total_tokens, facts.usage.cache_read_tokens) == (35, 30)

"""Token counts in canonical terms: what is not a count is unknown, and unknown is not zero."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import make_event

from weir.events import decode, encode
from weir.proxy.exchange import Usage
from weir.proxy.providers.openai import ChatReader
from weir.proxy.providers.usage import anthropic_usage, ollama_usage, openai_usage, responses_usage


def test_openais_prompt_holds_its_cached_part() -> None:
    reported = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    assert openai_usage(reported) == Usage(100, 20, 120, 80, 5, 12, None)


def test_the_counts_of_responses() -> None:
    reported = {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 80},
        "output_tokens_details": {"reasoning_tokens": 12},
    }
    assert responses_usage(reported) == Usage(100, 20, 120, 80, None, 12, None)


def test_anthropics_input_is_what_was_neither_read_nor_written() -> None:
    reported = {
        "input_tokens": 10,
        "cache_read_input_tokens": 80,
        "cache_creation_input_tokens": 5,
        "output_tokens": 20,
    }
    usage = anthropic_usage(reported)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (95, 20, 115)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (80, 5)
    assert anthropic_usage({"output_tokens": 3}).prompt_tokens is None
    assert anthropic_usage({"output_tokens": 3}).total_tokens is None


def test_ollamas_counts_come_with_durations() -> None:
    usage = ollama_usage({"prompt_eval_count": 5, "eval_count": 7, "eval_duration": 1000, "model": "m"})
    assert usage == Usage(5, 7, 12, raw={"eval_duration": 1000})
    assert ollama_usage({"eval_duration": 1000}) is None


@pytest.mark.parametrize("value", [None, "7", 7.5, True, -1, 2**53, 2**60, [7], {"a": 7}])
def test_what_is_no_count_is_unknown(value: object) -> None:
    usage = openai_usage({"prompt_tokens": value, "prompt_tokens_details": {"cached_tokens": value}})
    assert (usage.prompt_tokens, usage.cache_read_tokens) == (None, None)


@pytest.mark.parametrize(
    ("reported", "is_kept"),
    [
        ({"prompt_tokens": 1}, False),
        ({"prompt_tokens": 1, "prompt_tokens_details": None}, False),
        ({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}}, False),
        ({"prompt_tokens": 1, "prompt_tokens_details": {"audio_tokens": 3}}, True),
        ({"prompt_tokens": 1, "cost": 0.5}, True),
        ({"prompt_tokens": 1, "note": "x" * 2000}, False),
    ],
)
def test_the_report_is_kept_where_it_says_more(reported: dict[str, Any], is_kept: bool) -> None:
    assert openai_usage(reported).raw == (reported if is_kept else None)


_counts = (
    st.none() | st.integers() | st.floats() | st.text("x9", max_size=3) | st.lists(st.integers(), max_size=2)
)
_names = st.sampled_from(
    [
        "prompt_tokens",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "prompt_tokens_details",
        "eval_count",
        "x",
    ]
)


@given(st.dictionaries(_names, _counts | st.dictionaries(_names, _counts, max_size=3), max_size=6))
def test_whatever_is_reported_fits_into_a_record(reported: dict[str, Any]) -> None:
    for read in (openai_usage, responses_usage, anthropic_usage, ollama_usage):
        usage = read(reported)
        if usage is None:
            continue
        event = make_event(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            usage_raw=usage.raw,
        )
        assert decode(encode(event)).prompt_tokens == usage.prompt_tokens


_COUNTS = st.one_of(
    st.none(),
    st.booleans(),
    st.just("7"),
    st.integers(-1, 9),
    st.integers(2**53 - 1, 2**53 + 1),
    st.just(1.5),
)


def _some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, _COUNTS))


@given(
    counts=_some("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "more"),
    prompt=st.none() | _some("cached_tokens", "cache_write_tokens", "audio_tokens", "more"),
    completion=st.none() | _some("reasoning_tokens", "audio_tokens", "accepted_prediction_tokens"),
    choices=st.sampled_from([None, [], [{}], [{"finish_reason": "stop"}, {}], [{"finish_reason": 1}]]),
    model=st.sampled_from([None, "", "m", 5]),
)
def test_an_answer_is_read_in_one_go_as_it_is_bit_by_bit(
    counts: dict[str, Any],
    prompt: dict[str, Any] | None,
    completion: dict[str, Any] | None,
    choices: list[Any] | None,
    model: object,
) -> None:
    usage = {**counts, "prompt_tokens_details": prompt, "completion_tokens_details": completion}
    body = msgspec.json.encode({"model": model, "choices": choices, "usage": usage})
    quick, slow = ChatReader(), ChatReader()
    quick.read_document(body)
    slow._read_unusual(body)
    assert quick.facts == slow.facts
    assert quick.facts.usage == openai_usage(usage)

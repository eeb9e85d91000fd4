"""Token counts as vendors report them, in canonical terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from weir.events.request_event import MAX_USAGE_RAW
from weir.proxy.exchange import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_COUNT: Final = 2**53
_MAPPED: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens",
        "output_tokens",
        "input_tokens_details",
        "output_tokens_details",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    }
)
_MAPPED_DETAILS: Final = frozenset({"cached_tokens", "reasoning_tokens", "cache_write_tokens"})


def openai_usage(reported: Mapping[str, Any]) -> Usage:
    """OpenAI's usage object (also vLLM's, llama.cpp's, Ollama's): the prompt holds its cached part."""
    prompt = _mapping(reported.get("prompt_tokens_details"))
    completion = _mapping(reported.get("completion_tokens_details"))
    return Usage(
        prompt_tokens=_count(reported.get("prompt_tokens")),
        completion_tokens=_count(reported.get("completion_tokens")),
        total_tokens=_count(reported.get("total_tokens")),
        cache_read_tokens=_count(prompt.get("cached_tokens")),
        cache_write_tokens=_count(prompt.get("cache_write_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
        raw=_unmapped(reported, prompt, completion),
    )


def responses_usage(reported: Mapping[str, Any]) -> Usage:
    """The usage object of OpenAI's Responses, images and audio: the input holds its cached part."""
    given = _mapping(reported.get("input_tokens_details"))
    made = _mapping(reported.get("output_tokens_details"))
    return Usage(
        prompt_tokens=_count(reported.get("input_tokens")),
        completion_tokens=_count(reported.get("output_tokens")),
        total_tokens=_count(reported.get("total_tokens")),
        cache_read_tokens=_count(given.get("cached_tokens")),
        reasoning_tokens=_count(made.get("reasoning_tokens")),
        raw=_unmapped(reported, given, made),
    )


def anthropic_usage(reported: Mapping[str, Any]) -> Usage:
    """Anthropic's usage object: `input_tokens` is what was neither read from the cache nor written to it."""
    fresh = _count(reported.get("input_tokens"))
    read = _count(reported.get("cache_read_input_tokens"))
    written = _count(reported.get("cache_creation_input_tokens"))
    made = _count(reported.get("output_tokens"))
    prompt = None if fresh is None else _count(fresh + (read or 0) + (written or 0))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=_sum(prompt, made),
        cache_read_tokens=read,
        cache_write_tokens=written,
        raw=_unmapped(reported, {}, {}),
    )


def llamacpp_usage(timings: Mapping[str, Any]) -> Usage | None:
    """The counts in llama.cpp's `timings`, which come with the last chunk unasked; None without counts."""
    fresh, cached = _count(timings.get("prompt_n")), _count(timings.get("cache_n"))
    made = _count(timings.get("predicted_n"))
    if fresh is None or made is None:
        return None
    prompt = fresh + (cached or 0)
    return Usage(
        prompt_tokens=prompt, completion_tokens=made, total_tokens=prompt + made, cache_read_tokens=cached
    )


def ollama_usage(reported: Mapping[str, Any]) -> Usage | None:
    """The counts in Ollama's last line, with its durations; None without counts."""
    prompt, made = _count(reported.get("prompt_eval_count")), _count(reported.get("eval_count"))
    if prompt is None and made is None:
        return None
    durations = {name: value for name, value in reported.items() if name.endswith("_duration")}
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=_sum(prompt, made),
        raw=durations or None,
    )


def _count(value: object) -> int | None:
    """A plausible count. Anything else is unknown, which is not zero."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT:
        return value
    return None


def _sum(prompt: int | None, made: int | None) -> int | None:
    return None if prompt is None or made is None else _count(prompt + made)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _unmapped(
    reported: Mapping[str, Any], prompt: Mapping[str, Any], completion: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The whole object where it says more than the canonical counts, if it is not too large to keep."""
    says_more = any(value for name, value in reported.items() if name not in _MAPPED) or any(
        value for part in (prompt, completion) for name, value in part.items() if name not in _MAPPED_DETAILS
    )
    if not says_more or len(msgspec.json.encode(reported)) > MAX_USAGE_RAW:
        return None
    return dict(reported)

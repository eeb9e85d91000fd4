"""Token counts as vendors report them, in canonical terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import msgspec
from msgspec.structs import replace

from weir.events.request_event import MAX_USAGE_RAW
from weir.proxy.exchange import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_COUNT: Final = 2**53
Count = Annotated[int, msgspec.Meta(ge=0, lt=_MAX_COUNT)]
_PLAIN: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    }
)
"""All that OpenAI itself has."""
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
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "reasoning_tokens",
    }
)
_MAPPED_DETAILS: Final = frozenset(
    {"cached_tokens", "reasoning_tokens", "cache_write_tokens", "thinking_tokens"}
)
_LLAMA_CPP_MEASURES: Final = ("prompt_ms", "predicted_ms", "draft_n", "draft_n_accepted")
_OLLAMA_MEASURES: Final = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


class _PromptDetails(msgspec.Struct, forbid_unknown_fields=True):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Literal[0] | None = None


class _CompletionDetails(msgspec.Struct, forbid_unknown_fields=True):
    reasoning_tokens: Count | None = None
    audio_tokens: Literal[0] | None = None
    accepted_prediction_tokens: Literal[0] | None = None
    rejected_prediction_tokens: Literal[0] | None = None


_NO_PROMPT_DETAILS: Final = _PromptDetails()
_NO_COMPLETION_DETAILS: Final = _CompletionDetails()


class UsualUsage(msgspec.Struct, forbid_unknown_fields=True):
    """OpenAI's usage object where it says nothing that has no field of its own: decoded, it is understood."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def counts(self) -> Usage:
        prompt = self.prompt_tokens_details or _NO_PROMPT_DETAILS
        completion = self.completion_tokens_details or _NO_COMPLETION_DETAILS
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            prompt.cached_tokens,
            prompt.cache_write_tokens,
            completion.reasoning_tokens,
        )


def chat_usage(document: Mapping[str, Any]) -> Usage | None:
    """The counts in a chat answer or chunk: its `usage`, what llama.cpp's `timings` add, or those alone."""
    reported, timings = document.get("usage"), document.get("timings")
    usage = openai_usage(cast("dict[str, Any]", reported)) if isinstance(reported, dict) else None
    if not isinstance(timings, dict):
        return usage
    timed = llamacpp_usage(cast("dict[str, Any]", timings))
    if usage is None or timed is None:
        return usage or timed
    return replace(
        usage,
        cache_read_tokens=timed.cache_read_tokens
        if usage.cache_read_tokens is None
        else usage.cache_read_tokens,
        raw=_fitting({**(usage.raw or {}), **(timed.raw or {})}),
    )


def sum_of_choices(reports: Sequence[Mapping[str, Any]], *, one_prompt: bool) -> Usage | None:
    """Counts that came with the chunks of each choice, all of which may have the same prompt."""
    usages = [openai_usage(report) for report in reports]
    if len(usages) <= 1:
        return usages[0] if usages else None
    made = [usage.completion_tokens for usage in usages]
    completion = None if None in made else sum(count or 0 for count in made)
    prompt = usages[-1].prompt_tokens if one_prompt else None
    return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=_sum(prompt, completion))


def openai_usage(reported: Mapping[str, Any]) -> Usage:
    """OpenAI's usage object and its kin: the prompt holds its cached part.

    DeepSeek, SGLang, LiteLLM and Moonshot have some counts beside the details, or instead of them.
    """
    prompt = _mapping(reported.get("prompt_tokens_details"))
    completion = _mapping(reported.get("completion_tokens_details"))
    if reported.keys() <= _PLAIN:
        return Usage(
            _count(reported.get("prompt_tokens")),
            _count(reported.get("completion_tokens")),
            _count(reported.get("total_tokens")),
            _count(prompt.get("cached_tokens")),
            _count(prompt.get("cache_write_tokens")),
            _count(completion.get("reasoning_tokens")),
            _unmapped(reported, prompt, completion),
        )
    return Usage(
        prompt_tokens=_count(reported.get("prompt_tokens")),
        completion_tokens=_count(reported.get("completion_tokens")),
        total_tokens=_count(reported.get("total_tokens")),
        cache_read_tokens=_first_count(
            prompt.get("cached_tokens"),
            *(
                reported.get(name)
                for name in ("cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")
            ),
        ),
        cache_write_tokens=_first_count(
            prompt.get("cache_write_tokens"), reported.get("cache_creation_input_tokens")
        ),
        reasoning_tokens=_first_count(completion.get("reasoning_tokens"), reported.get("reasoning_tokens")),
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
        cache_write_tokens=_count(given.get("cache_write_tokens")),
        reasoning_tokens=_count(made.get("reasoning_tokens")),
        raw=_unmapped(reported, given, made),
    )


def anthropic_usage(reported: Mapping[str, Any]) -> Usage:
    """Anthropic's usage object: `input_tokens` is what was neither read from the cache nor written to it."""
    fresh = _count(reported.get("input_tokens"))
    read = _count(reported.get("cache_read_input_tokens"))
    written = _count(reported.get("cache_creation_input_tokens"))
    made = _count(reported.get("output_tokens"))
    details = _mapping(reported.get("output_tokens_details"))
    prompt = None if fresh is None else _count(fresh + (read or 0) + (written or 0))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=_sum(prompt, made),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=_count(details.get("thinking_tokens")),
        raw=_unmapped(reported, {}, details),
    )


def llamacpp_usage(timings: Mapping[str, Any]) -> Usage | None:
    """The counts in llama.cpp's `timings`, which come with the last chunk unasked; None without counts."""
    fresh, cached = _count(timings.get("prompt_n")), _count(timings.get("cache_n"))
    made = _count(timings.get("predicted_n"))
    if fresh is None or made is None:
        return None
    prompt = _count(fresh + (cached or 0))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=_sum(prompt, made),
        cache_read_tokens=cached,
        raw=_measured(timings, _LLAMA_CPP_MEASURES),
    )


def ollama_usage(reported: Mapping[str, Any]) -> Usage | None:
    """The counts in Ollama's last line, with its durations in nanoseconds; None without counts."""
    prompt, made = _count(reported.get("prompt_eval_count")), _count(reported.get("eval_count"))
    if prompt is None and made is None:
        return None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=made,
        total_tokens=_sum(prompt, made),
        raw=_measured(reported, _OLLAMA_MEASURES),
    )


def _count(value: object) -> int | None:
    """A plausible count. Anything else is unknown, which is not zero."""
    return value if type(value) is int and 0 <= value < _MAX_COUNT else None


def _first_count(*values: object) -> int | None:
    """The first of them that is a count."""
    return next((count for value in values if (count := _count(value)) is not None), None)


def _measured(reported: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    """What a server says beside its counts: numbers by these names."""
    found = {name: reported.get(name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT
    } or None


def _fitting(raw: dict[str, Any]) -> dict[str, Any] | None:
    return raw if raw and len(msgspec.json.encode(raw)) <= MAX_USAGE_RAW else None


def _sum(prompt: int | None, made: int | None) -> int | None:
    return None if prompt is None or made is None else _count(prompt + made)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _unmapped(
    reported: Mapping[str, Any], prompt: Mapping[str, Any], completion: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The whole object where it says more than the canonical counts, if it is not too large to keep."""
    if (
        reported.keys() <= _MAPPED
        and prompt.keys() <= _MAPPED_DETAILS
        and completion.keys() <= _MAPPED_DETAILS
    ):
        return None
    says_more = any(value for name, value in reported.items() if name not in _MAPPED) or any(
        value for part in (prompt, completion) for name, value in part.items() if name not in _MAPPED_DETAILS
    )
    return _fitting(dict(reported)) if says_more else None

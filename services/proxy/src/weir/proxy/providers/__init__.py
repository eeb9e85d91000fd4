"""The dialects we speak and the providers we know.

To add a dialect: one file, one line in `DIALECTS`. To add a provider: one line in `PROVIDERS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.proxy.providers.anthropic import Anthropic, TokenCounting
from weir.proxy.providers.ollama import Ollama, OllamaPlain
from weir.proxy.providers.openai import OpenAI
from weir.proxy.providers.openai_events import Forms, Plain, Speech, TypedEvents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.providers.provider import Dialect

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai.chat": OpenAI(),
    "openai.plain": Plain(),
    "openai.events": TypedEvents(),
    "openai.speech": Speech(),
    "openai.form": Forms(),
    "anthropic.messages": Anthropic(),
    "anthropic.count": TokenCounting(),
    "ollama.chat": Ollama(),
    "ollama.plain": OllamaPlain(),
}
"""How the clients of an endpoint speak, by the endpoint's `dialect`."""

PROVIDERS: Final[Mapping[str, frozenset[str]]] = {
    "openai": frozenset({"openai"}),
    "anthropic": frozenset({"anthropic", "openai"}),
    "ollama": frozenset({"openai", "anthropic", "ollama"}),
    "vllm": frozenset({"openai", "anthropic"}),
    "llamacpp": frozenset({"openai", "anthropic"}),
    "sglang": frozenset({"openai"}),
    "echo": frozenset({"openai"}),
}
"""The families of dialects that a vendor's servers understand."""

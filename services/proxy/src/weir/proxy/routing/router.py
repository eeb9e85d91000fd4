"""Which upstream? Of those that serve the model, one by weight."""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from weir.proxy.errors import rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weir.proxy.upstream import Upstream

_REMEMBERED: Final = 256
"""Models whose upstreams are remembered; further ones are looked up each time."""
_SHOWN: Final = 100
"""Characters of an unknown model name that an error repeats."""


class Router:
    """Chooses among the upstreams. Those that name the model come before those that take any."""

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        families: Mapping[str, frozenset[str]],
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`families`: what each provider's servers understand."""
        self._upstreams = tuple(upstreams)
        self._speaking = {
            family: tuple(one for one in upstreams if family in families[one.provider])
            for family in frozenset[str]().union(*families.values())
        }
        self._draw = draw
        self._candidates: dict[tuple[str, str], Sequence[Upstream]] = {}
        """Who serves a model, by family and model; asked again and again for a few names."""

    def all_of(self, family: str) -> Sequence[Upstream]:
        """Every upstream that speaks the family."""
        return self._speaking.get(family, ())

    def choose(self, model: str | None, family: str = "openai") -> Upstream:
        """The upstream for a request: one that speaks its family of dialects, if there is any.

        Raises:
            ProxyError: 404, no upstream serves this model.
        """
        if model is None:
            return (self.all_of(family) or self._upstreams)[0]
        candidates = self._candidates.get((family, model))
        if candidates is None:
            candidates = self._serving(model, family)
            if len(self._candidates) < _REMEMBERED:
                self._candidates[family, model] = candidates
        return candidates[0] if len(candidates) == 1 else self._by_weight(candidates)

    def needs_model(self, family: str) -> bool:
        """Whether the model decides to whom a request goes, or by which name."""
        able = self.all_of(family) or self._upstreams
        return len(able) > 1 or any(one.models or one.rename for one in able)

    def _serving(self, model: str, family: str) -> Sequence[Upstream]:
        serving = [upstream for upstream in self.all_of(family) or self._upstreams if upstream.serves(model)]
        candidates = [upstream for upstream in serving if upstream.names(model)] or serving
        if not candidates:
            raise rejected(
                HTTPStatus.NOT_FOUND,
                "model_not_found",
                f"The model {model[:_SHOWN]!r} is not served here. GET /v1/models lists those that are.",
            )
        return candidates

    def _by_weight(self, candidates: Sequence[Upstream]) -> Upstream:
        point = self._draw() * sum(upstream.weight for upstream in candidates)
        for upstream in candidates:
            point -= upstream.weight
            if point < 0:
                return upstream
        return candidates[-1]

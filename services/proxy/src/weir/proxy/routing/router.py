"""Which upstream? Of those that serve the model, one by weight."""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from weir.proxy.errors import rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weir.proxy.upstream import Upstream

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

    def all_of(self, family: str) -> Sequence[Upstream]:
        """Every upstream that speaks the family."""
        return self._speaking.get(family, ())

    def choose(self, model: str | None, family: str = "openai") -> Upstream:
        """The upstream for a request: one that speaks its family of dialects, if there is any.

        Raises:
            ProxyError: 404, no upstream serves this model.
        """
        able = self.all_of(family) or self._upstreams
        if model is None:
            return able[0]
        serving = [upstream for upstream in able if upstream.serves(model)]
        candidates = [upstream for upstream in serving if upstream.names(model)] or serving
        if not candidates:
            raise rejected(
                HTTPStatus.NOT_FOUND,
                "model_not_found",
                f"The model {model[:_SHOWN]!r} is not served here. GET /v1/models lists those that are.",
            )
        return candidates[0] if len(candidates) == 1 else self._by_weight(candidates)

    def _by_weight(self, candidates: Sequence[Upstream]) -> Upstream:
        point = self._draw() * sum(upstream.weight for upstream in candidates)
        for upstream in candidates:
            point -= upstream.weight
            if point < 0:
                return upstream
        return candidates[-1]

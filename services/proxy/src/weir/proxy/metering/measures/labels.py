"""The labels of a series. Each has a bounded number of values, none of them a user, a key or an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from weir.events import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weir.proxy.upstream import Upstream

OTHER: Final = "other"
"""Stands for what is not told apart any more."""
_NO_NAMES: Final = frozenset({"", OTHER})
_LONGEST_MODEL: Final = 128
_PATTERN: Final = frozenset("*?[")
_SERVER_ERROR: Final = 500
_CAUSES: Final = {
    "upstream_unreachable": "unreachable",
    "upstream_tls": "tls",
    "upstream_timeout": "timeout",
    "upstream_disconnected": "disconnected",
    "upstream_bad_response": "bad_response",
    "stream_ended_early": "ended_early",
}
_UPSTREAM_FAILED: Final = frozenset({Outcome.UPSTREAM_ERROR, Outcome.TIMEOUT, Outcome.TRUNCATED})


class Labels(msgspec.Struct, frozen=True, array_like=True):
    """What one series counts apart from the others. Empty is what a request does not have."""

    endpoint: str
    model_requested: str
    model_answered: str
    variant: str
    upstream: str
    provider: str
    status_class: str
    """`2xx` to `5xx`; empty where no head was sent."""
    outcome: str
    cause: str
    """Why the upstream failed; empty where it did not."""

    @property
    def model(self) -> str:
        """As answered, else as requested: an upstream that is down is down for the model asked for."""
        return self.model_answered or self.model_requested


EVERYTHING_ELSE: Final = Labels(*[OTHER] * len(Labels.__struct_fields__))
"""Counts the requests for which there is no series left."""


class ModelNames:
    """The names of models that are labels of their own: as many as may be, the first come.

    A name must be in the configuration, or an upstream must have answered for it: what clients merely make up
    takes no room.
    """

    def __init__(self, most: int, configured: Iterable[str] = ()) -> None:
        self._most = most
        self._names: set[str] = set()
        self.admit(*configured)

    def __repr__(self) -> str:
        return f"<ModelNames {len(self._names)} of {self._most}>"

    def bound(self, labels: Labels) -> Labels:
        """The labels with OTHER for names that are no labels of their own."""
        return replace(
            labels,
            model_requested=self._label(labels.model_requested),
            model_answered=self._label(labels.model_answered),
        )

    def admit(self, *names: str) -> bool:
        """These models exist. Whether any of them is a label only from now on."""
        before = len(self._names)
        for name in names:
            if (
                name not in self._names
                and name not in _NO_NAMES
                and len(self._names) < self._most
                and len(name) <= _LONGEST_MODEL
                and name.isprintable()
            ):
                self._names.add(name)
        return len(self._names) > before

    def _label(self, name: str) -> str:
        if not name:
            return ""
        return name if name in self._names else OTHER


def named_models(upstreams: Iterable[Upstream]) -> Iterator[str]:
    """The models that a configuration names; patterns name none."""
    for upstream in upstreams:
        for name in (*upstream.models, *upstream.rename, *upstream.rename.values()):
            if _PATTERN.isdisjoint(name):
                yield name


def status_class(status_code: int | None) -> str:
    return "" if status_code is None else f"{status_code // 100}xx"


def cause(outcome: Outcome, error_type: str | None, status_code: int | None) -> str:
    """One of a few words for why the upstream failed; empty where it did not. `error_type` may be its own."""
    if outcome not in _UPSTREAM_FAILED:
        return ""
    if (known := _CAUSES.get(error_type or "")) is not None:
        return known
    if status_code is not None and status_code >= _SERVER_ERROR:
        return "status_5xx"
    return "error_event" if outcome is Outcome.UPSTREAM_ERROR else OTHER


def all_causes() -> tuple[str, ...]:
    """Every word that `cause` has."""
    return (*_CAUSES.values(), "status_5xx", "error_event", OTHER)

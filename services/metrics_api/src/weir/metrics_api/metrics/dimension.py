"""The axes along which traffic can be filtered and grouped in roll-ups."""

from __future__ import annotations

from typing import Final, NamedTuple

PRODUCTION: Final = "production"
"""The variant of a record that names none."""
OTHER: Final = "(other)"
"""Stands for model, project and key once there are too many different ones to count apart."""


class Dimensions(NamedTuple):
    """One combination of values; a roll-up row counts the requests that share it."""

    tenant: str
    project: str | None
    api_key_id: str | None
    provider: str | None
    upstream: str | None
    variant: str
    endpoint: str
    model: str | None
    """The model as answered, else as requested: an upstream that is down is down for the model asked for."""
    stream: bool | None
    outcome: str
    status_code: int | None

    def without_free_text(self) -> Dimensions:
        """The same with the values clients choose folded into `OTHER`."""
        return self._replace(
            model=OTHER if self.model is not None else None,
            project=OTHER if self.project is not None else None,
            api_key_id=OTHER if self.api_key_id is not None else None,
        )

    def brief(self) -> Dimensions:
        """What is left of it in brief roll-ups."""
        return self._replace(tenant="", project=None, api_key_id=None, upstream=None, stream=None)


NAMES: Final[tuple[str, ...]] = Dimensions._fields
BRIEF: Final = frozenset({"provider", "variant", "endpoint", "model", "outcome", "status_code"})
"""What brief roll-ups tell apart."""


def status_class(status_code: int | None) -> str | None:
    """`2xx` … `5xx`, or None when no head was sent."""
    return None if status_code is None else f"{status_code // 100}xx"

"""Whether the service works."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weir.metrics_api.answers.answer import Answer


class Health(Answer):
    """The process lives."""

    status: Literal["ok"]


class Check(Answer):
    """One thing that the service needs."""

    ok: bool
    detail: str


class Readiness(Answer):
    """Whether the service can do its work."""

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="`degraded`: it works, with something missing; `unavailable` comes with status 503."
    )
    checks: dict[str, Check]

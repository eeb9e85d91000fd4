"""The messages of `/api/events`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weir.metrics_api.answers.answer import Answer
from weir.metrics_api.answers.dashboard import MetricSnapshot
from weir.metrics_api.answers.request import LiveRequest


class Connected(Answer):
    """The first message."""

    type: Literal["connected"]
    scrape_interval: float = Field(description="Seconds.")
    variants: list[str]


class MetricsMessage(Answer):
    """The last complete bucket of one variant, every five seconds."""

    type: Literal["metrics"]
    data: MetricSnapshot


class RequestsMessage(Answer):
    """Requests that have just been stored. Drop those you have by `request_id`."""

    type: Literal["requests"]
    data: list[LiveRequest]
    skipped: int | None = Field(None, description="So many more were stored with them; fetch totals again.")


class Gap(Answer):
    """Where a client left off is no longer held."""

    missed_from: int = Field(description="Unix ms.")


class GapMessage(Answer):
    """Fetch again: messages were missed."""

    type: Literal["gap"]
    data: Gap


EventMessage = Connected | MetricsMessage | RequestsMessage | GapMessage

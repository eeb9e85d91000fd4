"""Errors, as RFC 9457 shapes them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weir.metrics_api.answers.answer import Answer


class Problem(Answer):
    """What is wrong and how to mend it."""

    type: Literal["about:blank"]
    title: str = Field(description="The status in words.")
    status: int
    code: str = Field(description="Stable name of the problem, such as `invalid_range`.")
    detail: str = Field(description="What is wrong and how to mend it.")

"""Waiting for what another process does: polling, with a deadline and without blocking the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

STEP_SECONDS: Final = 0.01


async def eventually(
    check: Callable[[], Awaitable[T]], what: str, deadline: float = 30.0, step: float = STEP_SECONDS
) -> T:
    """The first true value that `check` returns; it is asked again every `step` seconds.

    Raises:
        AssertionError: there is none before the deadline, in seconds.
    """
    end = time.monotonic() + deadline
    while True:
        if value := await check():
            return value
        assert time.monotonic() < end, f"not within {deadline} s: {what}; last seen: {value!r}"
        await asyncio.sleep(step)

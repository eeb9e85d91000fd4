"""Background work: held, named, never failing in silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from weir.servicekit.tasks import BackgroundTasks

if TYPE_CHECKING:
    import pytest


async def test_close_ends_what_runs() -> None:
    tasks = BackgroundTasks()
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = tasks.start("forever", forever())
    await asyncio.sleep(0)
    await tasks.close()
    assert ended.is_set()
    assert task.cancelled()


async def test_a_failure_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    tasks = BackgroundTasks()

    async def broken() -> None:
        raise ValueError("odd")

    await asyncio.gather(tasks.start("rollup", broken()), return_exceptions=True)
    await asyncio.sleep(0)
    record = caplog.records[-1]
    assert (record.getMessage(), vars(record)["task"]) == ("background task failed", "rollup")
    assert record.exc_info


async def test_what_is_kept_running_starts_again_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    tasks = BackgroundTasks()
    runs: list[int] = []

    async def third_time_lucky() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            raise ValueError("odd")

    await tasks.keep_running("reader", third_time_lucky, pause=0)
    assert runs == [0, 1, 2]
    assert caplog.messages == ["background task failed, starting it again"] * 2
    await tasks.close()


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 2:
                    raise

    tasks = BackgroundTasks()
    tasks.start("stubborn", stubborn())
    await asyncio.sleep(0)
    await tasks.close()
    assert swallowed == 3

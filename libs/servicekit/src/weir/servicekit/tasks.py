"""Tasks that outlive the line which starts them: named, held, and never failing in silence."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

logger = logging.getLogger(__name__)

_CANCEL_AGAIN_SECONDS: Final = 0.1


class BackgroundTasks:
    """The background work of one service; `close` ends it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until it ends or `close` is called. A failure is logged with its trace."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep_running(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], *, pause: float = 1.0
    ) -> asyncio.Task[None]:
        """Run `work` again, `pause` seconds after each failure. It ends when `work` returns."""
        return self.start(name, _again_and_again(name, work, pause))

    async def close(self) -> None:
        """Cancel what still runs and wait for its end."""
        await cancel(*self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("background task failed", exc_info=error, extra={"task": task.get_name()})


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they end.

    Once is not always enough: on Python 3.11 `asyncio.wait_for`, which redis-py sends with, swallows a
    cancellation that comes in the moment its work is done (python/cpython#86296).
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECONDS)


async def _again_and_again(name: str, work: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
    while True:
        try:
            await work()
        except Exception:
            logger.exception("background task failed, starting it again", extra={"task": name})
            await asyncio.sleep(pause)
        else:
            return

"""Keeps one program running: what dies is started again, later each time, and that is said."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from weir.cli.program import NotReadyError, Program, RunningProgram, how_it_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 30.0
"""A program that ran this long starts again without the delay that earlier deaths had earned."""


class Supervised:
    """One program that is kept running. `changed` is called whenever its process is another one."""

    def __init__(
        self,
        program: Program,
        changed: Callable[[], None],
        same_place: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda _urls: {},
    ) -> None:
        """`same_place` gives the settings with which a new process listens where the first one did."""
        self.name = program.name
        self._program = program
        self._changed = changed
        self._same_place = same_place
        self._running: RunningProgram | None = None

    @property
    def pid(self) -> int | None:
        return self._running.process.pid if self._running else None

    async def start(self) -> Mapping[str, str]:
        """Start it for the first time; what it announced.

        Raises:
            NotReadyError: it ended before it was ready.
        """
        urls = (await self._start()).urls
        environ = {**self._program.environ, **self._same_place(urls)}
        self._program = replace(self._program, environ=environ)
        return urls

    async def keep_running(self) -> None:
        """Start it again whenever it ends. Runs until it is cancelled."""
        pause = FIRST_PAUSE_SECONDS
        clock = asyncio.get_running_loop().time
        while True:
            if self._running:
                started = clock()
                how = how_it_ended(await self._running.ended())
                self._running = None
                if clock() - started > STEADY_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                logger.warning("%s stopped (%s), starting it again in %g s", self.name, how, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            try:
                await self._start()
                logger.info("%s is back", self.name)
            except (NotReadyError, OSError) as error:
                logger.warning("%s; trying again in %g s", error, pause)

    async def stop(self) -> None:
        """Ask it to end and wait for that."""
        if self._running and not await self._running.stop():
            logger.warning(
                "%s did not stop within %g s and was cut off", self.name, self._program.stop_seconds
            )

    def cut(self) -> None:
        """End it at once."""
        if self._running:
            self._running.cut()

    async def _start(self) -> RunningProgram:
        self._running = await RunningProgram.start(self._program)
        self._changed()
        return self._running

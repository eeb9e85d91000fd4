"""The workers as the parent sees them: started, watched, started again."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from weir.proxy.metering.counters import Counters, create_file
from weir.proxy.metering.measures.table import Table, create_table
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.proxy.worker_plan import Config, WorkerPlan

logger = logging.getLogger(__name__)

_STEADY_SECONDS: Final = 5.0
_LONGEST_PAUSE: Final = 5.0
_START_SECONDS: Final = 20.0
_NOT_STARTED: Final = -1


class WorkerSeat:
    """One worker's place: its socket, its counters, and the process that sits in it now."""

    def __init__(
        self,
        number: int,
        listen_fd: int,
        plan: Callable[[int, int, int], WorkerPlan],
        ended: Callable[[WorkerPlan, dict[str, int]], None],
    ) -> None:
        """`plan` is asked for each life with the descriptors of socket, counters and measures.

        `ended` is told when a life is over, and what was counted in it.
        """
        self._number = number
        self._listen_fd = listen_fd
        self._plan_life = plan
        self._ended = ended
        self._counters_fd = create_file()
        self.counters = Counters(self._counters_fd)
        self._measures_fd = create_table()
        self.measures = Table(self._measures_fd)
        self._born = self.counters.read()
        """What they said when this life began."""
        self.writer: str | None = None
        """The name in the journal of the life that is now."""
        self._process: asyncio.subprocess.Process | None = None
        self._reloaded: Config | None = None
        """A configuration that the plan of this life does not have yet."""
        self._stopping = False
        self.is_ready = False

    def __repr__(self) -> str:
        return f"<WorkerSeat {self._number} pid {self.pid} {'ready' if self.is_ready else 'starting'}>"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def keep(self, first_ready: asyncio.Future[None]) -> None:
        """Keep a worker in this seat until `stop`. One that cannot start at all fails `first_ready`."""
        pause = 0.0
        while not self._stopping:
            began = time.monotonic()
            code = await self._live(first_ready)
            if self._stopping:
                return
            if not first_ready.done():
                first_ready.set_exception(StartError(f"a worker ended with code {code} before it was ready"))
                return
            steady = time.monotonic() - began > _STEADY_SECONDS
            pause = 0.0 if steady else min(_LONGEST_PAUSE, pause * 2 or 0.1)
            logger.error("worker died, starting another", extra={"worker": self._number, "code": code})
            await asyncio.sleep(pause)

    def life(self) -> dict[str, int]:
        """What has been counted in the life that is now, or was last."""
        now = self.counters.read()
        return {name: value - self._born[name] for name, value in now.items()}

    def reload(self, config: Config) -> None:
        """Give the worker another configuration; one that is just starting gets it when it is ready."""
        self._reloaded = config
        self._pass_reloaded_on()

    def stop(self) -> None:
        """Ask the worker to drain: the end of its control pipe tells it."""
        self._stopping = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _live(self, first_ready: asyncio.Future[None]) -> int:
        """One life of a worker, from start to end. Returns its exit code."""
        self._reloaded = None
        plan = self._plan_life(self._listen_fd, self._counters_fd, self._measures_fd)
        self.writer, self._born = plan.writer, self.counters.read()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "weir.proxy.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(self._listen_fd, self._counters_fd, self._measures_fd),
                start_new_session=False,
            )
            if self._stopping:  # said while this process was being made: nobody else will tell it
                process.kill()
                return await process.wait()
            self.is_ready = await _hand_over(process, plan)
            self._pass_reloaded_on()
            if self.is_ready and not first_ready.done():
                first_ready.set_result(None)
            return await process.wait()
        except OSError as error:
            logger.error("worker cannot be started: %s", error.strerror, extra={"worker": self._number})  # noqa: TRY400 - the reason says it all
            return _NOT_STARTED
        finally:
            self.is_ready = False
            self.writer = None
            self._ended(plan, self.life())
            self.counters.reset_gauges()

    def _pass_reloaded_on(self) -> None:
        process = self._process
        if self.is_ready and self._reloaded is not None and process is not None and process.stdin is not None:
            process.stdin.write(msgspec.json.encode(self._reloaded) + b"\n")
            self._reloaded = None

    def close(self) -> None:
        self.counters.close()
        self.measures.close()
        os.close(self._counters_fd)
        os.close(self._measures_fd)


async def _hand_over(process: asyncio.subprocess.Process, plan: WorkerPlan) -> bool:
    """Give a new worker its plan and wait until it serves. One that fails is killed."""
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    try:
        process.stdin.write(msgspec.json.encode(plan) + b"\n")
        async with asyncio.timeout(_START_SECONDS):
            return await process.stdout.readline() != b""
    except (TimeoutError, ConnectionError, RuntimeError):  # uvloop's word for a closed pipe is RuntimeError
        if process.returncode is None:
            process.kill()
        return False

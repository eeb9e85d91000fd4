"""One program as a process of its own: started, waited for until it is ready, ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from weir.servicekit.run import READY_FD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PROBE_SECONDS: Final = 0.02


class NotReadyError(Exception):
    """A program ended before it was ready."""

    def __init__(self, name: str, exit_code: int) -> None:
        super().__init__(f"{name} ended before it was ready: {how_it_ended(exit_code)}")
        self.exit_code = exit_code


class Probe(Protocol):
    """Asks a program from outside whether it is ready."""

    async def __call__(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Program:
    """What to start. It is ready when it announces its URLs, or when `probe` says so."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    stop_seconds: float
    """How long it may take to end after SIGTERM."""
    stdin: bytes = b""
    output: Path | None = None
    """The file that takes what it prints; None lets it print where the launcher does."""
    probe: Probe | None = None


@dataclass(slots=True)
class RunningProgram:
    """A started program. It leads a process group of its own, so that Ctrl-C reaches the launcher alone."""

    program: Program
    process: Process
    urls: dict[str, str] = field(default_factory=dict[str, str])
    """What it announced: `url`, and more where it listens twice."""

    @classmethod
    async def start(cls, program: Program) -> RunningProgram:
        """Start it and wait until it is ready; it is ended if the waiting is cancelled.

        Raises:
            NotReadyError: it ended first.
        """
        ready, announce = os.pipe()
        with os.fdopen(ready, "rb", buffering=0) as announcement, ExitStack() as stack:
            output = stack.enter_context(program.output.open("ab")) if program.output else None
            try:
                process = await asyncio.create_subprocess_exec(
                    *program.command,
                    env={**program.environ, READY_FD: str(announce)},
                    stdin=PIPE if program.stdin else DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(announce,),
                    start_new_session=True,
                )
            finally:
                os.close(announce)
            running = cls(program, process)
            try:
                await running._feed()
                running.urls = await (
                    running._ask(program.probe) if program.probe else running._read(announcement)
                )
            except BaseException:
                running.cut()
                await process.wait()  # what nobody waits for outlives the loop as a zombie
                raise
        return running

    async def ended(self) -> int:
        """Wait for its end; the exit code, or minus the number of the signal that ended it."""
        return await self.process.wait()

    async def stop(self) -> bool:
        """Ask it to end (SIGTERM); cut it when it has not after its `stop_seconds`. Whether it obeyed."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(self.program.stop_seconds):
                await self.process.wait()
        except TimeoutError:
            self.cut()
            await self.process.wait()
            return False
        return True

    def cut(self) -> None:
        """End it and all of its own processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def _feed(self) -> None:
        if self.process.stdin is None:
            return
        with suppress(ConnectionError):
            self.process.stdin.write(self.program.stdin)
            await self.process.stdin.drain()
        self.process.stdin.close()

    async def _read(self, announcement: Any) -> dict[str, str]:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), announcement
        )
        try:
            line = await reader.readline()
        finally:
            transport.close()
        if not line:
            raise NotReadyError(self.program.name, await self.ended())
        return cast("dict[str, str]", json.loads(line))

    async def _ask(self, probe: Probe) -> dict[str, str]:
        while not await probe():
            if self.process.returncode is not None:
                raise NotReadyError(self.program.name, self.process.returncode)
            await asyncio.sleep(_PROBE_SECONDS)
        return {}


def how_it_ended(exit_code: int) -> str:
    """`exit code 1`, or `killed by SIGKILL`."""
    return f"exit code {exit_code}" if exit_code >= 0 else f"killed by {signal.Signals(-exit_code).name}"

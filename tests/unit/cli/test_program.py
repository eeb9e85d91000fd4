"""One program as a process: readiness over a pipe or by a probe, and its end."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.programs import ANNOUNCE, FOREVER, lives, python

from weir.cli.program import NotReadyError, RunningProgram, how_it_ended

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_is_ready_when_it_says_so() -> None:
    running = await RunningProgram.start(python(FOREVER, admin_url="http://y"))
    assert running.urls == {
        "url": "http://x",
        "admin_url": "http://y",
        "pid": str(running.process.pid),
    }
    assert await running.stop()
    assert await running.ended() == -15


async def test_an_end_before_that_is_an_error_with_its_code() -> None:
    program = replace(python(""), command=(sys.executable, "-c", "raise SystemExit(2)"))
    with pytest.raises(NotReadyError, match="example ended before it was ready: exit code 2") as error:
        await RunningProgram.start(program)
    assert error.value.exit_code == 2


async def test_waiting_for_it_can_be_given_up(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = f"import os, signal; open({str(pid_file)!r}, 'w').write(str(os.getpid())); signal.pause()"
    starting = asyncio.ensure_future(
        RunningProgram.start(replace(python(""), command=(sys.executable, "-c", code)))
    )
    async with asyncio.timeout(30):
        while not (pid_file.exists() and pid_file.read_text()):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    with pytest.raises(ProcessLookupError):  # ended, and waited for: no zombie is left
        os.kill(int(pid_file.read_text()), 0)


async def test_a_probe_says_when_it_is_ready(tmp_path: Path) -> None:
    asked = 0

    async def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    program = replace(python(FOREVER), probe=third_time)
    running = await RunningProgram.start(program)
    assert (asked, running.urls) == (3, {})
    await running.stop()


async def test_an_end_while_it_is_probed_is_an_error() -> None:
    async def never() -> bool:
        return False

    program = replace(python("sys.exit(3)"), probe=never)
    with pytest.raises(NotReadyError, match="exit code 3"):
        await RunningProgram.start(program)


async def test_it_is_fed_its_input() -> None:
    running = await RunningProgram.start(replace(python("sys.exit(len(sys.stdin.read()))"), stdin=b"12345"))
    assert await running.ended() == 5


async def test_one_that_does_not_obey_is_cut_with_all_its_children() -> None:
    stubborn = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
EXTRA = {"child": str(child.pid)}
"""
    command = (sys.executable, "-c", stubborn + ANNOUNCE + FOREVER)
    running = await RunningProgram.start(replace(python(""), command=command, stop_seconds=0.2))
    assert not await running.stop()
    assert await running.ended() == -9
    async with asyncio.timeout(30):
        while lives(int(running.urls["child"])):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("code", "how"), [(0, "exit code 0"), (1, "exit code 1"), (-9, "killed by SIGKILL")])
def test_how_it_ended(code: int, how: str) -> None:
    assert how_it_ended(code) == how

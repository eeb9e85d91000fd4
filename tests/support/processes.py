"""Start services as the real processes they are, wait for them, and end them kindly or not."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0


class NotReadyError(Exception):
    """A process ended, or said nothing, before it was ready."""


class Process:
    """A running service. `announced` is what it said when it was ready."""

    def __init__(
        self, popen: subprocess.Popen[bytes], output: IO[bytes], announced: dict[str, str] | None
    ) -> None:
        self.announced = announced or {}
        self._popen = popen
        self._output = output
        self._written = ""

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def url(self) -> str:
        return self.announced["url"]

    @property
    def stderr(self) -> str:
        """All that it has written so far, standard output included."""
        if not self._output.closed:
            self._written = os.pread(self._output.fileno(), 2**24, 0).decode(errors="replace")
        return self._written

    def running(self) -> bool:
        return self._popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill9(self) -> None:
        """End it without warning."""
        self._popen.kill()
        self._popen.wait()
        self._close()

    def wait(self, deadline: float = STOP_SECONDS) -> int:
        """The exit code, when it has ended by itself."""
        return self._popen.wait(deadline)

    def stop(self, deadline: float = STOP_SECONDS) -> int:
        """Ask it to end (SIGTERM) and return its exit code; it is killed if it does not obey in time."""
        if self.running():
            self.send(signal.SIGTERM)
        try:
            return self.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"did not stop within {deadline} s; it said:\n{self.stderr}") from None
        finally:
            self._close()

    def _close(self) -> None:
        self._written = self.stderr
        self._output.close()


def start(
    arguments: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path | None = None,
    deadline: float = READY_SECONDS,
    announces: bool = True,
) -> Process:
    """Start a program with this environment (and PATH, HOME) and wait until it says that it is ready.

    `"python"` as the first argument is this Python. With `announces=False` nothing is waited for.

    Raises:
        NotReadyError: it ended or the deadline passed first; the message holds what it wrote.
    """
    command = [sys.executable if arguments[0] == "python" else arguments[0], *arguments[1:]]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ready, announce = os.pipe()
    output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    try:
        popen = subprocess.Popen(
            command,
            env={**kept, "WEIR_READY_FD": str(announce), **env},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[announce],
        )
        os.close(announce)
        process = Process(popen, output, None)
        if announces:
            try:
                process.announced = _announcement(ready, time.monotonic() + deadline)
            except NotReadyError as error:
                process.kill9()
                raise NotReadyError(f"{' '.join(command)}: {error}\n{process.stderr}") from None
        return process
    finally:
        os.close(ready)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run. Linux only."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in listed.split()]


def command_line(pid: int) -> str:
    """How a process was started; empty if it is gone. Linux only."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(condition: Callable[[], Any], what: str, deadline: float = 30.0) -> Any:
    """Poll until `condition` returns something true, and return that.

    Raises:
        AssertionError: the deadline passed first.
    """
    end = time.monotonic() + deadline
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.01)
    return value


def _announcement(ready: int, end: float) -> dict[str, str]:
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([ready], [], [], max(0.0, end - time.monotonic()))
        if not readable:
            raise NotReadyError("it did not become ready in time")
        part = os.read(ready, 4096)
        if not part:
            raise NotReadyError("it ended before it was ready")
        line += part
    return json.loads(line)

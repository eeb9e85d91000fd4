"""A watchman for the case that the launcher is killed: nothing it started may linger.

A shell of a few hundred kilobytes reads the process ids from a pipe that ends when the launcher does,
by whatever cause and on every Unix. It then ends the processes in the order of a normal stop.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCRIPT: Final = """
trap '' HUP INT TERM
while read -r line; do pids=$line; done
for pid in $pids; do
  kill -s TERM "$pid" 2>/dev/null
  tries=0
  while kill -s 0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -s KILL -- "-$pid" 2>/dev/null
done
"""


class Guard:
    """Ends `watch`ed processes once this process is gone; the lock is held until then."""

    def __init__(self, lock_fd: int) -> None:
        ours, launcher = os.pipe()
        self._pipe = os.fdopen(launcher, "w")
        self._shell = subprocess.Popen(  # noqa: S603 - a constant script, no input in it
            ["/bin/sh", "-c", _SCRIPT],
            stdin=ours,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock_fd,),
            start_new_session=True,
        )
        os.close(ours)

    def watch(self, pids: Iterable[int]) -> None:
        """From now on these, in the order in which they are to be ended."""
        with suppress(BrokenPipeError):  # somebody ended the watchman; the launcher still does its own work
            self._pipe.write(f"{' '.join(str(pid) for pid in pids)}\n")
            self._pipe.flush()

    def dismiss(self) -> None:
        """There is nothing left to end."""
        self.watch(())
        self._pipe.close()
        self._shell.wait()

"""Nothing that a killed launcher started lingers, and its data directory stays locked until then."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.processes import start, until
from tests.support.programs import lives

from weir.cli.data_dir import locked
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from pathlib import Path

LAUNCHER = """
import json, os, signal, subprocess, sys
from pathlib import Path
from weir.cli.data_dir import locked
from weir.cli.guard import Guard

SLOW = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit(0)));"
with locked(Path(sys.argv[1])) as lock:
    guard = Guard(lock)
    children = [
        subprocess.Popen([sys.executable, "-c", SLOW + "print(flush=True); signal.pause()"],
                         start_new_session=True, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for child in children:
        child.stdout.readline()
    guard.watch(child.pid for child in children)
    with os.fdopen(int(os.environ["WEIR_READY_FD"]), "w") as ready:
        ready.write(json.dumps({"pids": " ".join(str(child.pid) for child in children)}) + "\\n")
    if sys.argv[2] == "dismiss":
        guard.dismiss()
    else:
        signal.pause()
"""


def test_a_killed_launchers_processes_end(tmp_path: Path) -> None:
    launcher = start([sys.executable, "-c", LAUNCHER, str(tmp_path), "stay"], {})
    pids = [int(pid) for pid in launcher.announced["pids"].split()]
    with (
        pytest.raises(StartError, match=f"another weir run \\(process {launcher.pid}\\) uses"),
        locked(tmp_path),
    ):
        pass
    launcher.kill9()
    with pytest.raises(StartError, match="try again in a few seconds"), locked(tmp_path):
        pass
    until(lambda: not any(lives(pid) for pid in pids), "the children have ended")

    def free() -> bool:
        try:
            with locked(tmp_path):
                return True
        except StartError:
            return False

    until(free, "the lock is free")


def test_a_dismissed_guard_leaves_everything_alone(tmp_path: Path) -> None:
    launcher = start([sys.executable, "-c", LAUNCHER, str(tmp_path), "dismiss"], {})
    pids = [int(pid) for pid in launcher.announced["pids"].split()]
    assert launcher.wait() == 0
    assert all(lives(pid) for pid in pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    launcher.stop()

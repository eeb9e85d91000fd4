"""Put on the path of the proxy's processes (PYTHONPATH), this notes what they have had written to the disk.

One JSON line in the file `WEIR_TEST_SYNCED` after each sync that has succeeded: of a file its path and how
long it was when the sync began, of a folder the names in it; and when the sync began.
"""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

_log = os.open(os.environ["WEIR_TEST_SYNCED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
_really = {"fsync": os.fsync, "fdatasync": os.fdatasync}


def _noting(how: str, fd: int) -> None:
    began = time.monotonic()
    status = os.fstat(fd)
    note: dict[str, object] = {"path": str(Path(f"/proc/self/fd/{fd}").readlink()), "at": began}
    if stat.S_ISDIR(status.st_mode):
        note["names"] = os.listdir(fd)
    else:
        note["size"] = status.st_size
    _really[how](fd)
    os.write(_log, json.dumps(note).encode() + b"\n")


def _fsync(fd: int) -> None:
    _noting("fsync", fd)


def _fdatasync(fd: int) -> None:
    _noting("fdatasync", fd)


os.fsync = _fsync
os.fdatasync = _fdatasync

"""An environment with what a lock names, made once for a lock's content."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT: Final = Path(__file__).parents[3]
HOME: Final = ROOT / ".venv-clients"
INSTALL_SECONDS: Final = 300


def locked_python(lock: str) -> Path:
    """The Python of the environment of `deploy/locks/{lock}.txt`.

    The test is skipped where it cannot be installed, such as without a network.
    """
    requirements = ROOT / "deploy" / "locks" / f"{lock}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    home = HOME / f"{lock}-py{sys.version_info.minor}-{digest}"
    python, complete = home / "bin" / "python", home / "complete"
    with installing(HOME / f"{lock}.lock"):
        if not complete.exists():
            shutil.rmtree(home, ignore_errors=True)
            uv = str(Path(sys.executable).parent / "uv")
            _install(lock, uv, "venv", "--quiet", "--python", sys.executable, str(home))
            sync = ("pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(requirements))
            _install(lock, uv, *sync)
            complete.touch()
    return python


@contextmanager
def installing(lock: Path) -> Generator[None]:
    """Only one of the processes that run tests installs at a time; the others then find it done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(lock: str, *command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or b""
        last = output.decode(errors="replace").strip().rpartition("\n")[2]
        pytest.skip(f"{lock} cannot be installed here: {last or error}")

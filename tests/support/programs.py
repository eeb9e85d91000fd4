"""Small programs that behave like a service: they announce themselves, and then do as they are told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from weir.cli.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

ANNOUNCE = """
import json, os, signal, subprocess, sys, time
with os.fdopen(int(os.environ["WEIR_READY_FD"]), "w") as launcher:
    launcher.write(json.dumps({"url": "http://x", "pid": str(os.getpid()), **EXTRA}) + "\\n")
"""


def python(code: str, environ: Mapping[str, str] | None = None, **extra: str) -> Program:
    """A program that announces itself and then does this."""
    source = f"EXTRA = {extra!r}\n{ANNOUNCE}{code}"
    return Program(
        "example", (sys.executable, "-c", source), {**os.environ, **(environ or {})}, stop_seconds=10
    )


FOREVER = "signal.pause()"


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waits for does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False

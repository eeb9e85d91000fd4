"""Prometheus's own check of what it would scrape."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def assert_promtool_passes(text: str, directory: Path) -> None:
    """`promtool check metrics` has nothing to say against it. Skips where there is no promtool."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    path = directory / "metrics.txt"
    path.write_text(text)
    with path.open() as metrics:
        done = subprocess.run(
            [promtool, "check", "metrics"],
            stdin=metrics,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

"""The model servers behind the proxy: a fast one and a slow one, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PACE_MS: Final = 30
"""Between two tokens of the slow one: a stream of it lasts a third of a second."""
TIMEOUT_SECONDS: Final = 4
"""What the proxy allows the slow one to be silent."""


class Upstreams:
    """Both, and the proxy's configuration that names them: models called `slow…` are the slow one's."""

    def __init__(self, directory: Path) -> None:
        self._fakes = [_Fake(0), _Fake(PACE_MS)]
        fast, slow = self._fakes
        timeouts = {"first_byte": f"{TIMEOUT_SECONDS}s", "idle": f"{TIMEOUT_SECONDS}s"}
        upstreams = [
            {"name": "fast", "url": fast.url},
            {"name": "slow", "url": slow.url, "models": ["slow*"], "timeouts": timeouts},
        ]
        self.config = directory / "weir.yaml"
        self.config.write_text(json.dumps({"upstreams": upstreams}))

    def stop(self) -> None:
        for fake in self._fakes:
            fake.stop()


class _Fake:
    """The fake model server as a process of its own, so that it does not wait for the clients."""

    def __init__(self, pace_ms: int) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fake_llm", "--pace-ms", str(pace_ms)],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self._popen.stdout is not None
        self.url = self._popen.stdout.readline().decode().strip()
        assert self.url, "the fake model server does not start"

    def stop(self) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()

"""What a worker says to the parent that started it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from weir.proxy.worker import READY, say_ready

if TYPE_CHECKING:
    import pytest


def test_a_worker_whose_parent_has_died_ends_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    assert say_ready(writing)
    assert os.read(reading, 100) == READY
    os.close(reading)
    assert not say_ready(writing)
    os.close(writing)
    assert caplog.messages == ["the proxy that started this worker is gone, so it ends"]

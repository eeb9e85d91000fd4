"""A metrics API on a Redis of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.metrics_api import MetricsApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.redis_server import RedisServer


@pytest.fixture
def api(redis_server: RedisServer, tmp_path: Path) -> Iterator[MetricsApi]:
    with MetricsApi(redis_server.url, tmp_path / "data") as running:
        yield running

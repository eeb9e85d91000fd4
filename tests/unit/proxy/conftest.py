"""The data path in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.proxy_in_memory import InMemoryProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import Any


@pytest.fixture
async def make_proxy(tmp_path: Path) -> AsyncIterator[Callable[..., InMemoryProxy]]:
    """Builds proxies and closes them after the test: no mark left open, no count left above zero."""
    made: list[InMemoryProxy] = []

    def make(**options: Any) -> InMemoryProxy:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(InMemoryProxy(directory, **options))
        return made[-1]

    yield make
    for proxy in made:
        if not proxy.pipeline.in_flight:
            assert proxy.open_marks() == []
            counts = proxy.counters.read()
            assert counts["accepted"] == counts["journaled"]
            assert (counts["in_flight_production"], counts["in_flight_canary"]) == (0, 0)
            assert not proxy.forwarder.is_busy
        await proxy.close()


@pytest.fixture
def proxy(make_proxy: Callable[..., InMemoryProxy]) -> InMemoryProxy:
    return make_proxy()

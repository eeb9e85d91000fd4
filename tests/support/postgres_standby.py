"""A PostgreSQL that follows another one, and takes its place when it is promoted."""

from __future__ import annotations

import asyncio
import shutil

from tests.support.postgres_server import USER, PostgresServer


class PostgresStandby(PostgresServer):
    """Made of a running primary, which is stopped for a moment."""

    def __init__(self, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__()

    def promote(self) -> None:
        """Make it a primary."""
        asyncio.run(self._execute("select pg_promote(true, 30)"))

    def _initialise(self) -> None:
        data = self.directory / "data"
        self._primary.stop()
        shutil.copytree(self._primary.directory / "data", data)
        self._primary.start()
        (data / "standby.signal").touch()
        with (data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = 'host=127.0.0.1 port={self._primary.port} user={USER}'\n")
        data.chmod(0o700)
        if self._user is not None:
            for path in (data, *data.rglob("*")):
                shutil.chown(path, self._user)

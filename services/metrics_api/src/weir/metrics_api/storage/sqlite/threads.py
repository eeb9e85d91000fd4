"""SQLite's threads: one that writes, a few that read, each with a connection of its own."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from weir.metrics_api.storage.places import Places
from weir.metrics_api.storage.port import QueryTimeoutError
from weir.metrics_api.storage.sqlite.opening import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.metrics_api.storage.sqlite.trouble import DatabaseFile

logger = logging.getLogger(__name__)

READERS: Final = 4
QUERY_SECONDS: Final = 10.0
_PROGRESS_STEPS: Final = 10_000
_TOO_LONG: Final = "the question took longer than {:g} s"

P = ParamSpec("P")
T = TypeVar("T")


class WriterThread:
    """Runs one piece of work at a time, in the order asked for."""

    def __init__(self, file: DatabaseFile) -> None:
        self._executor = ThreadPoolExecutor(1, "sqlite-writer")
        self._file = file

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises StorageError when SQLite fails; what it refuses for its content is raised as it is."""

        def checked() -> T:
            self._file.confirm()
            return work(*args, **kwargs)

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, checked)
        except (sqlite3.IntegrityError, sqlite3.DataError):
            raise
        except sqlite3.Error as error:
            raise self._file.error(error) from error

    async def run_last(self, work: Callable[[], None]) -> None:
        """Whatever state the file is in."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except sqlite3.Error as error:
            logger.warning("the database was not left in order", extra={"reason": str(error)})

    def close(self) -> None:
        self._executor.shutdown()


class ReaderThreads:
    """Runs questions beside each other, each ended when it takes longer than `QUERY_SECONDS`."""

    def __init__(self, file: DatabaseFile, readers: int = READERS) -> None:
        self._executor = ThreadPoolExecutor(readers, "sqlite-reader")
        self._file = file
        self._places = Places()
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._connections = [open_reader(file.path) for _ in range(readers)]
        for connection in self._connections:
            self._idle.put(connection)

    async def run(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Raises StorageError when SQLite fails, QueryTimeoutError when it takes too long.

        The time in which it waits for a reader counts.
        """
        deadline = time.monotonic() + QUERY_SECONDS

        def work() -> T:
            if time.monotonic() > deadline:
                raise QueryTimeoutError(_TOO_LONG.format(QUERY_SECONDS))
            connection = self._idle.get()
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
            try:
                return question(connection, *args, **kwargs)
            finally:
                connection.set_progress_handler(None, 0)
                self._idle.put(connection)

        loop = asyncio.get_running_loop()
        try:
            with self._places.taken():
                return await loop.run_in_executor(self._executor, work)
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise QueryTimeoutError(_TOO_LONG.format(QUERY_SECONDS)) from error
            raise self._file.error(error) from error
        except sqlite3.Error as error:
            raise self._file.error(error) from error

    def close(self) -> None:
        self._executor.shutdown()
        for connection in self._connections:
            connection.close()

"""Looks a large database over while it is already being used.

At start a file is checked for a moment only, so that the service is soon up again after a crash. What was not
reached then is looked at here, to the end. Damage stops all writing.
"""

from __future__ import annotations

import logging
import sqlite3
from threading import Thread
from typing import TYPE_CHECKING

from weir.metrics_api.storage.sqlite.opening import open_reader
from weir.metrics_api.storage.sqlite.trouble import damaged

if TYPE_CHECKING:
    from weir.metrics_api.storage.sqlite.trouble import DatabaseFile

logger = logging.getLogger(__name__)


class Inspection:
    """One thorough check in a thread of its own."""

    def __init__(self, file: DatabaseFile) -> None:
        self._file = file
        self._connection = open_reader(file.path)
        self._thread = Thread(target=self._run, name="sqlite-inspection", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is done."""
        self._thread.join()

    def close(self) -> None:
        """End it, done or not."""
        while self._thread.is_alive():
            self._connection.interrupt()  # again: it may come before the check has begun
            self._thread.join(0.05)
        self._connection.close()

    def _run(self) -> None:
        try:
            found: str = self._connection.execute("pragma quick_check(1)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                logger.warning("the database could not be checked to its end", extra={"reason": str(error)})
            return
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found == "ok":
            logger.info("the whole database has been checked", extra={"path": str(self._file.path)})
            return
        self._file.damage = f"SQLite: {damaged(self._file.path, found)}"
        logger.error("the database is damaged", extra={"reason": self._file.damage})

"""From the journal to Redis: one task reads what the workers wrote and ships it in batches."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

from weir.events.journal import JournalWriter, marks_path, open_marks
from weir.events.writer import StreamUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from weir.events.journal_reader import JournalReader
    from weir.events.writer import StreamWriter

logger = logging.getLogger(__name__)

BATCH: Final = 256
_BUSY_PAUSE: Final = 0.01
_IDLE_PAUSE: Final = 0.025
_FIRST_RETRY: Final = 0.2
_LONGEST_RETRY: Final = 5.0
_LOOK_AFTER_EVERY: Final = 1.0


class Shipper:
    """Owns the reading side of the journal and the one connection over which records go."""

    def __init__(
        self, directory: Path, reader: JournalReader, writer: StreamWriter, own: JournalWriter
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._writer = writer
        self._own = own
        self._stopping = asyncio.Event()
        self.acknowledged = 0
        self.crash_records = 0
        self.lost_crash_records = 0
        self.trouble: str | None = None
        """Why Redis does not take records now; None while it does."""

    def follow(self, writer: str) -> None:
        """A worker begins to write."""
        self._reader.follow(writer)

    def ended(self, writer: str) -> None:
        """A worker is gone: what it wrote is final, and what it had in flight gets its records."""
        self._reader.ended(writer)
        self._close_marks(writer)

    def adopt_left_behind(self) -> None:
        """Take over what an earlier life of this proxy left: its records first, then its open marks."""
        for writer in self._reader.left_behind():
            self._reader.adopt(writer)
            self._close_marks(writer)

    def stop(self) -> None:
        """Let `run` end after the batch under way: one that is cut off would be sent a second time."""
        self._stopping.set()

    async def run(self) -> None:
        """Ship until `stop`."""
        loop = asyncio.get_running_loop()
        look_after = loop.time()
        retry = _FIRST_RETRY
        while not self._stopping.is_set():
            try:
                if loop.time() >= look_after:
                    await self._look_after()
                    look_after = loop.time() + _LOOK_AFTER_EVERY
                shipped = await self.ship_batch()
            except StreamUnavailableError:
                await self._pause(retry * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                retry = min(_LONGEST_RETRY, retry * 2)
                continue
            retry = _FIRST_RETRY
            if shipped < BATCH:
                await self._pause(_BUSY_PAUSE if shipped else _IDLE_PAUSE)

    async def ship_batch(self) -> int:
        """Ship one batch and say how many records it had.

        Raises:
            StreamUnavailableError: it was not confirmed; it will be read again.
        """
        batch = self._reader.read(BATCH)
        if not batch.payloads:
            return 0
        try:
            await self._writer.write(batch.payloads)
        except StreamUnavailableError as error:
            self._reader.give_back(batch)
            self._failed(error)
            raise
        except asyncio.CancelledError:
            self._reader.give_back(batch)
            raise
        self._reader.acknowledge(batch)
        self.acknowledged += len(batch.payloads)
        self._succeeded()
        return len(batch.payloads)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not for longer than until `stop`."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _look_after(self) -> None:
        """Free what is done, and see whether Redis is there even when nothing is to be shipped.

        Raises:
            StreamUnavailableError: it is not.
        """
        self._reader.free()
        try:
            await self._writer.check()
        except StreamUnavailableError as error:
            self._failed(error)
            raise
        self._succeeded()

    def _failed(self, error: StreamUnavailableError) -> None:
        if self.trouble is None:
            logger.warning("Redis takes no records; they wait in the journal", extra={"reason": str(error)})
        self.trouble = str(error)

    def _succeeded(self) -> None:
        if self.trouble is not None:
            logger.info("Redis takes records again")
            self.trouble = None
        if self._writer.server_changed:
            logger.warning("Redis is not the server it was; what the journal keeps is sent again")
            self._writer.server_changed = False
            self._reader.rewind()

    async def ship_rest(self, seconds: float) -> None:
        """At the end: ship what is left, for a bounded time. What stays is shipped at the next start."""
        try:
            async with asyncio.timeout(seconds):
                while await self.ship_batch():
                    pass
        except (TimeoutError, StreamUnavailableError):
            waiting = self._reader.unread_bytes()
            logger.warning("records stay in the journal for the next start", extra={"bytes": waiting})
        self._reader.free()

    def waiting_bytes(self) -> int:
        """Bytes in the journal that Redis has not confirmed."""
        return self._reader.unread_bytes()

    @property
    def corrupt_frames(self) -> int:
        return self._reader.corrupt_frames

    def _close_marks(self, writer: str) -> None:
        path = marks_path(self._directory, writer)
        if not path.exists():
            return
        for payload in open_marks(path):
            if self._own.append(payload):
                self.crash_records += 1
            else:
                self.lost_crash_records += 1
        path.unlink()

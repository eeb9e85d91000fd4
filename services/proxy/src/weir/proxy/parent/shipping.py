"""From the journal to Redis: one task reads what the workers wrote and ships it in batches."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

from weir.events.writer import StreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weir.events.writer import StreamWriter
    from weir.proxy.parent.desk import Desk

logger = logging.getLogger(__name__)

BATCH: Final = 1024
_BUSY_PAUSE: Final = 0.04
_IDLE_PAUSE: Final = 0.025
_FIRST_RETRY: Final = 0.2
_LONGEST_RETRY: Final = 5.0
_LOOK_AFTER_EVERY: Final = 1.0


class Shipper:
    """Owns the one connection over which records go, and carries what the desks have."""

    def __init__(self, own: Desk, stream: StreamWriter, look_round: Callable[[Shipper], None]) -> None:
        """`look_round` is called about once a second while Redis takes records."""
        self.desks = [own]
        self._stream = stream
        self._look_round = look_round
        self._server = ""
        self._stopping = asyncio.Event()
        self.trouble: str | None = None
        """Why Redis does not take records now; None while it does."""

    def take_over(self, desk: Desk) -> None:
        """Ship what another proxy left, too."""
        desk.reader.rewind(self._server)
        self.desks.append(desk)

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
                    look_after = loop.time() + _LOOK_AFTER_EVERY
                    await self._look_after()
                shipped = await self.ship_round()
            except StreamUnavailableError:
                await self._pause(retry * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
                retry = min(_LONGEST_RETRY, retry * 2)
                continue
            retry = _FIRST_RETRY
            if shipped < BATCH:
                await self._pause(_BUSY_PAUSE if shipped else _IDLE_PAUSE)

    async def ship_round(self) -> int:
        """Ship one batch of each desk and say how many records they had.

        Raises:
            StreamUnavailableError: one was not confirmed whole; its rest comes first the next time.
        """
        return sum([await self._ship_batch(desk) for desk in tuple(self.desks)])

    async def _ship_batch(self, desk: Desk) -> int:
        batch = desk.batch or desk.reader.read(BATCH)
        if not batch.positions:
            return 0
        count = len(batch.payloads)
        desk.batch = batch
        try:
            if batch.payloads:
                await self._stream.write(batch.payloads)
        except StreamUnavailableError as error:
            batch.payloads = list(error.left)
            self._failed(error)
            raise
        if self._server_is_new():
            return count  # what was read before that is read again
        desk.batch = None
        desk.reader.acknowledge(batch, self._server)
        self._succeeded()
        return count

    async def ship_rest(self, seconds: float) -> None:
        """When the workers have ended: ship what is left, for a bounded time. What stays is shipped at the
        next start.

        Also what this Redis never had, should it be another since the last record, and what workers of a
        killed parent have finished since.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._stream.check()
                self._server_is_new()
                self._look_after_desks()
                while await self.ship_round():
                    self._look_after_desks()
        except (TimeoutError, StreamUnavailableError) as error:
            logger.debug("not all is shipped: %s", str(error) or "there was no time")
        self._look_after_desks()
        for desk in self.desks:
            desk.life_is_over()
        if waiting := self.waiting_bytes():
            logger.warning("records stay in the journal for the next start", extra={"bytes": waiting})

    def waiting_bytes(self) -> int:
        """Bytes in the journal that Redis has not confirmed."""
        return sum(desk.reader.unread_bytes() for desk in self.desks)

    @property
    def corrupt_places(self) -> int:
        return sum(desk.reader.corrupt_places for desk in self.desks)

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
        self._look_after_desks()
        try:
            await self._stream.check()
        except StreamUnavailableError as error:
            self._failed(error)
            raise
        self._server_is_new()
        self._succeeded()
        self._look_round(self)

    def _look_after_desks(self) -> None:
        """Whoever has been adopted only now may have had records confirmed by a Redis of before."""
        for desk in self.desks:
            desk.look_after(self._stream.stored_until)
            if self._server:
                desk.reader.rewind(self._server)

    def _server_is_new(self) -> bool:
        """Have what is kept sent again if this is not the Redis, with all it had, that confirmed it."""
        if self._stream.server == self._server:
            return False
        is_first, self._server = self._server == "", self._stream.server
        rewound = [desk.reader.rewind(self._server) for desk in self.desks]
        if is_first and not any(rewound):
            return False
        for desk in self.desks:
            desk.begin_again()
        logger.warning("Redis is not the server it was; what the journal keeps is sent again")
        return True

    def _failed(self, error: StreamUnavailableError) -> None:
        if self.trouble is None:
            logger.warning("Redis takes no records; they wait in the journal", extra={"reason": str(error)})
        self.trouble = str(error)

    def _succeeded(self) -> None:
        if self.trouble is not None:
            logger.info("Redis takes records again")
            self.trouble = None

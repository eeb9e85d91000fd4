"""One journal folder in this proxy's care: its own, or that of a proxy which is gone.

Its records are read here and its accounts are kept here; the shipper only carries what it is given.
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from weir.events.accounts import Account
from weir.events.journal_adoption import close_marks
from weir.events.journal_ledger import Ledger, Tally, boot_of
from weir.events.journal_marks import UNBORN_SUFFIX, lives, marks_path, open_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weir.events.journal_reader import Batch, JournalReader, Standing
    from weir.proxy.parent.journal_home import JournalHome

logger = logging.getLogger(__name__)


class Desk:
    """A folder, the reader of its segments and the ledger of its accounts."""

    def __init__(self, home: JournalHome, reader: JournalReader, *, boot_id: str = "") -> None:
        """`boot_id`: the life of the proxy that is writing here now; empty in an adopted folder."""
        self.home = home
        self.reader = reader
        self.batch: Batch | None = None
        """What could not be shipped whole: its rest comes first, and alone."""
        self._ledger = Ledger(home.directory)
        for unused in home.directory.glob(f"*{UNBORN_SUFFIX}"):
            unused.unlink(missing_ok=True)
        self._boot_id = boot_id
        self._is_over = False
        self._outlived: set[str] = set()
        """Lives of which workers still run, although their parent is dead."""
        self._dying: dict[str, Tally | None] = {}
        """Dead writers whose marks could not be closed yet, with what their counters said."""
        self._told: set[str] = set()
        """Lives whose closed account has been published."""

    def __repr__(self) -> str:
        return f"<Desk of {self.home.proxy_id}: {self.reader!r}>"

    def adopt_left_behind(self) -> None:
        """Take over what dead writers left: their records first, then what they had in flight.

        The workers of a killed parent first finish what they have. Their proxy's life is left alone until
        the last of them has ended, so that its account is told whole.
        """
        found = self.reader.left_behind()
        self._outlived = {boot_of(writer) for writer in found if lives(self.home.directory, writer)}
        for writer in found:
            if boot_of(writer) not in self._outlived:
                self.reader.adopt(writer, is_whole=self._bury(writer, None))

    def ended(self, writer: str, last: Tally | None) -> None:
        """A worker is gone: what it wrote is final, and what it had in flight gets its records."""
        if self._bury(writer, last):
            self.reader.ended(writer)

    def look_after(self, stored_until: float = math.inf) -> None:
        """Try again what could not be written, take over who has ended since, and free what is done with.

        `stored_until` as in JournalReader.free.
        """
        for writer, last in list(self._dying.items()):
            self.ended(writer, last)
        self.adopt_left_behind()
        for writer in self.reader.free(stored_until):
            if writer in self._dying:
                continue
            try:
                if not self._ledger.has(writer):
                    self._ledger.settle(writer, self._tally(writer, {}))
            except OSError as error:
                logger.debug("account not settled yet: %s", error.strerror)
                continue
            self.reader.dismiss(writer)
        for boot_id in self._told.intersection(self._ledger.boots):
            if not any(boot_of(writer) == boot_id for writer in self.reader.writers):
                self._ledger.remove(boot_id)

    def accounts(self, living: Mapping[str, Tally], now: Callable[[], int] | None = None) -> list[Account]:
        """The account of each life; `living` is what the counters of living writers say."""
        sent_at = now() if now is not None else time.time_ns() // 1000
        living_on = "" if self._is_over else self._boot_id
        known = {boot_of(writer) for writer in self.reader.writers} | set(self._ledger.boots)
        if self._boot_id:
            known.add(self._boot_id)
        accounts: list[Account] = []
        for boot_id in sorted(known - self._outlived):
            tallies = (
                self._tally(writer, living)
                for writer in self.reader.writers
                if boot_of(writer) == boot_id and not self._ledger.has(writer)
            )
            sums = sum(tallies, self._ledger.tally(boot_id))
            accounts.append(
                Account(
                    proxy_id=self.home.proxy_id,
                    boot_id=boot_id,
                    sent_at=sent_at,
                    closed=boot_id != living_on and sums.in_flight == sums.in_journal == 0,
                    **{name: getattr(sums, name) for name in Tally.__struct_fields__},
                )
            )
        return accounts

    def news(self, accounts: list[Account]) -> list[Account]:
        """Those that have not been published in their last form."""
        return [account for account in accounts if account.boot_id not in self._told]

    def told(self, accounts: list[Account]) -> None:
        """These have been published."""
        self._told |= {account.boot_id for account in accounts if account.closed}

    def life_is_over(self) -> None:
        """The proxy that writes here has no workers any more: its account closes when all is shipped."""
        self._is_over = True

    def begin_again(self) -> None:
        """Another Redis knows nothing of what the one before was told."""
        if self.batch is not None:
            self.reader.give_back(self.batch)
            self.batch = None
        self._told.clear()

    @property
    def is_empty(self) -> bool:
        """Nothing of it has to be shipped, kept or told any more."""
        return not self.reader.writers and not self._ledger.boots

    def close(self) -> None:
        """Leave the folder to whoever comes next; an adopted one in which nothing is left goes."""
        self.reader.close()
        if self._boot_id:
            self.home.close()
        else:
            self.home.remove()

    def _bury(self, writer: str, last: Tally | None) -> bool:
        try:
            crashed = close_marks(self.home.directory, writer)
        except OSError as error:
            if writer not in self._dying:
                logger.error(  # noqa: TRY400 - the reason says it all
                    "requests of a dead worker cannot be recorded yet: %s", error.strerror
                )
            self._dying[writer] = last
            return False
        self._dying.pop(writer, None)
        if crashed:
            logger.warning("recorded requests of a dead worker", extra={"writer": writer, "count": crashed})
        return True

    def _tally(self, writer: str, living: Mapping[str, Tally]) -> Tally:
        standing = self.reader.standing(writer)
        counted = living.get(writer) or self._dying.get(writer)
        if counted is None:
            counted = self._finished(writer, standing)
        journaled = max(counted.journaled, standing.confirmed)
        accepted = max(counted.accepted, journaled + counted.dropped)
        return Tally(
            accepted=accepted,
            journaled=journaled,
            crashed=counted.crashed,
            acknowledged=standing.confirmed - standing.damaged,
            dropped=counted.dropped + standing.damaged,
            in_flight=accepted - journaled - counted.dropped,
            in_journal=journaled - standing.confirmed,
            in_journal_bytes=standing.waiting_bytes,
        )

    def _finished(self, writer: str, standing: Standing) -> Tally:
        """What a dead writer's own files say."""
        in_flight = 0
        if writer in self._dying:
            path = marks_path(self.home.directory, writer)
            in_flight = len(open_marks(path)) if path.exists() else 0
        return Tally(
            accepted=standing.journaled + standing.dropped + in_flight,
            journaled=standing.journaled,
            crashed=standing.crashed,
            dropped=standing.dropped,
        )

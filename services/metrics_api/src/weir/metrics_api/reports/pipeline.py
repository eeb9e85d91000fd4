"""The reconciliation: every accepted request is found in exactly one place, or it is unaccounted for.

It can only err to one side. Records move in one direction, from the proxies over the stream to the database,
and the places are read in this order: a record that moves meanwhile is seen twice, never not at all. So a
request that is not found is missing, unless Redis has just lost it and its proxy is sending it again; what is
missing therefore counts as unaccounted for when it has been missing for `SETTLE_SECONDS`.

Records that are finished meanwhile would hide a loss as long as traffic goes on. But each has a number in its
journal, and what is stored of a journal is counted in the transaction that stores it: a gap shows at once.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from weir.events.corridor import CorridorError
from weir.events.stream import life as life_of
from weir.metrics_api.storage.port import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from weir.events.accounts import Account
    from weir.events.corridor import Passage, StreamState
    from weir.metrics_api.storage.port import Accounts, AccountStore, StoredJournal

SETTLE_SECONDS: Final = 20.0
"""Longer than a proxy needs to notice that Redis lost something and to send it again."""
REPORT_SECONDS: Final = 15.0
"""An account that nobody has brought up to date for so long is nobody's any more."""
ENDED_LISTED: Final = 20
TOTAL: Final = ""
_NUMBERS: Final = (
    "accepted", "in_flight", "in_journal", "in_stream", "stored", "dead_lettered", "dropped", "unaccounted",
)  # fmt: skip


class Passages(Protocol):
    """Knows where records are before they reach us."""

    async def passage(self) -> Passage: ...

    async def forget(self, accounts: Sequence[Account]) -> None: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has of one life of a proxy."""

    rows: int = 0
    gaps: int = 0
    """Numbers below the highest of each journal that are not stored."""

    def plus(self, journal: StoredJournal) -> Stored:
        return Stored(
            self.rows + journal.stored, self.gaps + max(0, journal.last_sequence - journal.numbered)
        )


@dataclass(frozen=True, slots=True)
class Reckoning:
    """One life of a proxy, with what is known of its records."""

    account: Account
    stored: Stored
    put_aside: int
    is_alive: bool

    @property
    def life(self) -> str:
        return _life(self.account)

    @property
    def beyond_the_proxy(self) -> int:
        """Records that left the proxy and have reached neither the database nor the dead letters: in the
        stream, or missing.
        """
        account = self.account
        confirmed = account.acknowledged - self.stored.rows
        gaps = self.stored.gaps - account.dropped - account.in_journal
        return max(0, max(confirmed, gaps) - self.put_aside)


class Missing:
    """Tells what is missing from what only seems so for a moment."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: defaultdict[str, deque[tuple[float, int]]] = defaultdict(deque)

    def confirmed(self, name: str, count: int) -> int | None:
        """How many have been missing for `SETTLE_SECONDS`; None while that cannot be said yet."""
        if count == 0:
            self._seen.pop(name, None)
            return 0
        now, seen = self._monotonic(), self._seen[name]
        seen.append((now, count))
        while len(seen) > 1 and seen[1][0] <= now - SETTLE_SECONDS:
            seen.popleft()
        return min(number for _, number in seen) if seen[0][0] <= now - SETTLE_SECONDS else None


class Reconciliation:
    """Asks the places in their order and adds up."""

    def __init__(self, bus: Passages, store: AccountStore, monotonic: Callable[[], float]) -> None:
        self._bus = bus
        self._store = store
        self._missing = Missing(monotonic)

    async def report(self, now_us: int) -> dict[str, Any]:
        """The answer of `/api/pipeline`."""
        try:
            passage = await self._bus.passage()
        except CorridorError as error:
            return await self._without_redis(f"Redis does not answer: {error}", now_us)
        try:
            stored = await self._store.accounts()
        except StorageError as error:
            return _without_database(passage, f"the database does not answer: {error}", now_us)
        return self._reconciled(passage, stored, now_us)

    async def keep(self) -> None:
        """Store what is news of what the proxies say of themselves; Redis need not keep what is closed then.

        Raises:
            CorridorError: Redis is away.
            StorageError: the database is.
        """
        accounts = (await self._bus.passage()).accounts
        known = {_life(account): account for account in (await self._store.accounts()).accounts}
        news = [account for account in accounts if _is_news(account, known.get(_life(account)))]
        if news:
            await self._store.keep_accounts(news)
        closed = [account for account in accounts if account.closed]
        if closed:
            await self._bus.forget(closed)

    async def _without_redis(self, reason: str, now_us: int) -> dict[str, Any]:
        answer = _unknown(reason, now_us)
        try:
            stored = await self._store.accounts()
        except StorageError:
            return answer
        rows = stored_by_life(stored.journals)
        lives = {_life(account) for account in stored.accounts}
        answer["total"]["stored"] = sum(rows[one].rows for one in lives if one in rows)
        del answer["unknown"]["stored"]
        return answer

    def _reconciled(self, passage: Passage, stored: Accounts, now_us: int) -> dict[str, Any]:
        found = reckonings(passage, stored)
        waiting = passage.stream.waiting_at_most
        lives = [self._life_answer(one, waiting, now_us) for one in found]
        total: dict[str, int | None] = {name: _sum(life[name] for life in lives) for name in _NUMBERS}
        unknown = {name: _reason(lives, name) for name in _NUMBERS if total[name] is None}
        beyond = sum(one.beyond_the_proxy for one in found)
        lag = _lag(passage.stream, beyond)
        missing = max(0, beyond - waiting)
        total["in_stream"] = lag
        total["unaccounted"] = self._missing.confirmed(TOTAL, missing)
        unknown.pop("unaccounted", None)
        if total["unaccounted"] is None:
            unknown["unaccounted"] = _looked_for(missing)
        listed = _listed(lives)
        return {
            "now": now_us // 1000,
            "total": total,
            "lag_entries": lag,
            "lag_seconds": round(passage.stream.lag_seconds, 3),
            "dead_letters": passage.stream.dead_letters,
            "proxies": listed,
            "not_listed": len(lives) - len(listed),
            "unknown": unknown,
        }

    def _life_answer(self, one: Reckoning, waiting: int, now_us: int) -> dict[str, Any]:
        account, unknown = one.account, dict[str, str]()
        missing = max(0, one.beyond_the_proxy - waiting)
        unaccounted = self._missing.confirmed(one.life, missing)
        if unaccounted is None:
            unknown["unaccounted"] = _looked_for(missing)
        was_done = account.in_flight == account.in_journal == 0  # a proxy that stops says so last
        is_recent = now_us - account.sent_at < REPORT_SECONDS * 1_000_000
        is_kept = one.is_alive or account.closed or was_done or is_recent
        if not is_kept:
            unknown["in_journal"] = unknown["in_journal_bytes"] = (
                f"{account.proxy_id} (boot {account.boot_id}) has gone without a word; "
                "its journal is read when a proxy starts in its folder"
            )
        done = one.stored.rows + one.put_aside + account.dropped
        return {
            "proxy_id": account.proxy_id,
            "boot_id": account.boot_id,
            "alive": one.is_alive,
            "closed": account.closed,
            "reported_at": account.sent_at // 1000,
            "accepted": max(account.accepted, done),  # some may have been finished since the report
            "in_flight": account.in_flight if is_kept else 0,
            "in_journal": account.in_journal if is_kept else None,
            "in_journal_bytes": account.in_journal_bytes if is_kept else None,
            "in_stream": one.beyond_the_proxy - (unaccounted or 0),
            "stored": one.stored.rows,
            "dead_lettered": one.put_aside,
            "dropped": account.dropped,
            "crashed": account.crashed,
            "unaccounted": unaccounted,
            "unknown": unknown,
        }


def reckonings(passage: Passage, stored: Accounts) -> list[Reckoning]:
    """Every known life of every proxy, from Redis or from the database, by name, newest life first."""
    accounts = {_life(account): account for account in stored.accounts}
    for account in passage.accounts:
        known = accounts.get(_life(account))
        if known is None or account.sent_at >= known.sent_at:
            accounts[_life(account)] = account
    rows = stored_by_life(stored.journals)
    unnamed = {one.proxy_id: one.stored for one in stored.journals if not life_of(one.proxy_id, one.journal)}
    found = [
        Reckoning(
            account,
            rows.get(life) or _told_without_journal(account, unnamed.get(account.proxy_id, 0)),
            passage.put_aside.get(life, 0),
            is_alive=life in passage.alive,
        )
        for life, account in accounts.items()
    ]
    return sorted(found, key=lambda one: (one.account.proxy_id, -one.account.sent_at))


def stored_by_life(journals: Iterable[StoredJournal]) -> dict[str, Stored]:
    """What is stored of each life, over all its journals."""
    found: defaultdict[str, Stored] = defaultdict(Stored)
    for one in journals:
        if life := life_of(one.proxy_id, one.journal):
            found[life] = found[life].plus(one)
    return dict(found)


def _told_without_journal(account: Account, unnamed: int) -> Stored:
    """A life whose records name no journal, as a proxy of an earlier version wrote them: they are counted
    under its name alone, so what it had confirmed is taken for stored when there are as many.
    """
    return Stored(rows=account.acknowledged) if unnamed >= account.acknowledged else Stored()


def _life(account: Account) -> str:
    return f"{account.proxy_id}/{account.boot_id}"


def _is_news(account: Account, known: Account | None) -> bool:
    return known is None or (
        account.sent_at > known.sent_at and msgspec.structs.replace(account, sent_at=known.sent_at) != known
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _reason(lives: Sequence[Mapping[str, Any]], name: str) -> str:
    return "; ".join(life["unknown"][name] for life in lives if name in life["unknown"])


def _looked_for(missing: int) -> str:
    return (
        f"{missing} records are being looked for: a Redis that was restarted or emptied is given again what "
        f"it lost, so they count as unaccounted for after {SETTLE_SECONDS:g} s"
    )


def _listed(lives: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    ended = [life for life in lives if life["closed"] and life["unaccounted"] == 0 and not life["alive"]]
    newest = sorted(ended, key=lambda life: life["reported_at"], reverse=True)[:ENDED_LISTED]
    left_out = {id(life) for life in ended} - {id(life) for life in newest}
    return [life for life in lives if id(life) not in left_out]


def _lag(stream: StreamState, beyond: int) -> int:
    """Entries not stored. Redis before 7.0 counts only few: then the accounts tell, within what is sure."""
    if stream.unread is not None:
        return stream.unread + stream.pending
    return min(stream.entries, max(stream.unread_at_least + stream.pending, beyond))


def _unknown(reason: str, now_us: int) -> dict[str, Any]:
    names = (*_NUMBERS, "lag_entries", "lag_seconds", "dead_letters", "proxies")
    return {
        "now": now_us // 1000,
        "total": dict.fromkeys(_NUMBERS),
        "lag_entries": None,
        "lag_seconds": None,
        "dead_letters": None,
        "proxies": None,
        "not_listed": 0,
        "unknown": dict.fromkeys(names, reason),
    }


def _without_database(passage: Passage, reason: str, now_us: int) -> dict[str, Any]:
    answer = _unknown(reason, now_us)
    answer["lag_seconds"] = round(passage.stream.lag_seconds, 3)
    answer["dead_letters"] = passage.stream.dead_letters
    if passage.stream.unread is not None:
        answer["lag_entries"] = passage.stream.unread + passage.stream.pending
    for name in ("lag_entries", "lag_seconds", "dead_letters"):
        if answer[name] is not None:
            del answer["unknown"][name]
    return answer

"""What became of every request that a proxy accepted, so that a lost one would be seen.

An account belongs to one life of one proxy (`boot_id`), whoever keeps it: when a proxy has died, the next one
that takes its journal over goes on with its account too and brings it to its end. So the sums agree whichever
proxy ships a record.

Accounts stand in one Redis hash, a field for each, and stay there until whoever adds them up has stored the
closed ones and removes them with `forget`. Numbers of one account only grow, but for the three that say what
is still under way (`in_flight`, `in_journal`, `in_journal_bytes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weir.events.stream import ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis.asyncio import Redis
    from redis.typing import EncodableT, FieldT


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """In each that is published, `accepted == acknowledged + in_journal + dropped + in_flight`."""

    proxy_id: str
    boot_id: str
    sent_at: int
    """Microseconds since the Unix epoch, by the clock of the proxy that keeps it."""
    accepted: int = 0
    """Requests that get exactly one row."""
    journaled: int = 0
    """Records written to the journal; one that was damaged there later is also in `dropped`."""
    crashed: int = 0
    """Those of them that were written for requests which a dead process had in flight."""
    acknowledged: int = 0
    """Records that Redis has confirmed; one that is sent again counts once."""
    dropped: int = 0
    """Records that were lost: they could not be written, or were damaged before they were shipped."""
    in_flight: int = 0
    in_journal: int = 0
    """Records that Redis has not confirmed yet."""
    in_journal_bytes: int = 0
    closed: bool = False
    """This life is over and nothing of it is under way any more: these are its last numbers."""


async def publish_accounts(redis: Redis, accounts: Iterable[Account]) -> None:
    """Put these in the place of what is there of the same lives."""
    fields: dict[FieldT, EncodableT] = {_field(account): msgspec.json.encode(account) for account in accounts}
    if fields:
        await redis.hset(ACCOUNTS, mapping=fields)


async def read_accounts(redis: Redis) -> list[Account]:
    """All accounts that are there; malformed ones are skipped."""
    accounts: list[Account] = []
    for value in (await redis.hgetall(ACCOUNTS)).values():
        try:
            accounts.append(msgspec.json.decode(value, type=Account))
        except msgspec.DecodeError:
            continue
    return accounts


async def forget(redis: Redis, accounts: Iterable[Account]) -> None:
    """Remove accounts that are closed and stored elsewhere."""
    fields = [_field(account) for account in accounts]
    if fields:
        await redis.hdel(ACCOUNTS, *fields)


def _field(account: Account) -> str:
    return f"{account.proxy_id}/{account.boot_id}"

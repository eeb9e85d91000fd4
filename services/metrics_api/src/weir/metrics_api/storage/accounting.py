"""What the database keeps for the reconciliation, as rows: journals counted, accounts of proxies kept."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weir.events.accounts import Account
from weir.metrics_api.storage.port import Accounts, StoredJournal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weir.events import RequestEvent

LONGEST_NAME: Final = 256
"""A proxy names its journals in some twenty characters; what is longer was not written by one."""
_FIELDS: Final = (
    "proxy_id", "boot_id", "sent_at", "accepted", "journaled", "crashed", "acknowledged", "dropped",
    "in_flight", "in_journal", "in_journal_bytes", "closed",
)  # fmt: skip
"""In the order of account_keep.sql and accounts.sql."""


def counted(events: Iterable[RequestEvent]) -> list[tuple[str, str, int, int, int]]:
    """Rows for journal_add.sql: of each journal how many records, how many with a number, the highest one."""
    found: defaultdict[tuple[str, str | None], list[int | None]] = defaultdict(list)
    for event in events:
        found[event.proxy_id, event.journal].append(event.sequence)
    rows: list[tuple[str, str, int, int, int]] = []
    for (proxy_id, journal), sequences in found.items():
        numbers = [sequence for sequence in sequences if sequence is not None]
        name = (journal or "")[:LONGEST_NAME]
        rows.append((proxy_id, name, len(sequences), len(numbers), max(numbers, default=0)))
    return rows


def account_rows(accounts: Sequence[Account]) -> list[tuple[Any, ...]]:
    """Rows for account_keep.sql, in an order that every process keeps to."""
    ordered = sorted(accounts, key=lambda account: (account.proxy_id, account.boot_id))
    return [tuple(getattr(account, name) for name in _FIELDS) for account in ordered]


def from_rows(journals: Iterable[Sequence[Any]], accounts: Iterable[Sequence[Any]]) -> Accounts:
    """What journals.sql and accounts.sql found."""
    return Accounts(
        [StoredJournal(*row) for row in journals],
        [
            msgspec.convert({**dict(zip(_FIELDS, row, strict=True)), "closed": bool(row[-1])}, Account)
            for row in accounts
        ],
    )

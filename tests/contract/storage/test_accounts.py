"""What is counted for the reconciliation: with the rows, once, and for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.builders import MOMENT, make_event

from weir.events.accounts import Account
from weir.events.stream import StreamId
from weir.metrics_api.storage.port import StoredJournal, UnstorableRecordError

if TYPE_CHECKING:
    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Store

DAY_MS = 86_400_000


def numbered(journal: str, *sequences: int | None, proxy_id: str = "proxy-1") -> list[RequestEvent]:
    return [make_event(journal=journal, sequence=number, proxy_id=proxy_id) for number in sequences]


async def journals(store: Store) -> set[tuple[str, str, int, int, int]]:
    found = (await store.accounts()).journals
    return {(one.proxy_id, one.journal, one.stored, one.numbered, one.last_sequence) for one in found}


async def test_stored_records_are_counted_by_journal(store: Store) -> None:
    assert await journals(store) == set()
    await store.add([*numbered("b1-1", 1, 2, 3), *numbered("b1-2", 1), *numbered("b1-1", None)])
    await store.add([*numbered("b1-1", 5), *numbered("b1-1", 9, proxy_id="proxy-2"), make_event()])
    assert await journals(store) == {
        ("proxy-1", "b1-1", 5, 4, 5),
        ("proxy-1", "b1-2", 1, 1, 1),
        ("proxy-2", "b1-1", 1, 1, 9),
        ("proxy-1", "", 1, 0, 0),
    }


async def test_what_comes_again_does_not_count_again(store: Store) -> None:
    events = numbered("b1-1", 1, 2, 3, 4)
    await store.add(events[:3])
    await store.add(events)
    await store.add([*events, *events])
    assert await journals(store) == {("proxy-1", "b1-1", 4, 4, 4)}


async def test_a_batch_that_is_refused_counts_nothing(store: Store) -> None:
    with pytest.raises(UnstorableRecordError):
        await store.add([*numbered("b1-1", 1), make_event(journal="b1-1", user="\ud800")])
    assert await journals(store) == set()


async def test_deleting_requests_leaves_the_counts(store: Store) -> None:
    await store.add(numbered("b1-1", 1, 2))
    await store.expire_requests(MOMENT // 1000 + DAY_MS * 400, at_most=100)
    assert (await store.accounts()).journals == [StoredJournal("proxy-1", "b1-1", 2, 2, 2)]


async def test_the_latest_account_of_each_life_is_kept(store: Store) -> None:
    first = Account(proxy_id="p", boot_id="1", sent_at=10, accepted=9, acknowledged=7, in_flight=2)
    later = Account(
        proxy_id="p", boot_id="1", sent_at=20, accepted=9, journaled=9, crashed=1, acknowledged=8, dropped=1,
        in_journal_bytes=0, closed=True,
    )  # fmt: skip
    other = Account(proxy_id="p", boot_id="2", sent_at=15, accepted=1, in_journal=1, in_journal_bytes=700)
    await store.keep_accounts([])
    await store.keep_accounts([other, first])
    await store.keep_accounts([later])
    await store.keep_accounts([first])  # as another metrics API read it a moment ago
    found = (await store.accounts()).accounts
    assert sorted(found, key=lambda account: account.boot_id) == [later, other]


async def test_the_position_in_a_stream_is_what_was_noted_last(store: Store) -> None:
    assert await store.settled_to("s") is None
    await store.note_settled("s", StreamId(1_700_000_000_000, 5))
    await store.note_settled("t", StreamId(1, 2))
    assert await store.settled_to("s") == StreamId(1_700_000_000_000, 5)
    await store.note_settled("s", StreamId(3, 0))  # the stream was made anew
    assert await store.settled_to("s") == StreamId(3, 0)

"""The reconciliation, from what the places say: never a loss that is none, and no loss unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from weir.events.accounts import Account
from weir.events.corridor import CorridorError, Passage, StreamState
from weir.metrics_api.ingest.watch import PipelineWatch
from weir.metrics_api.reports.pipeline import ENDED_LISTED, SETTLE_SECONDS, Reconciliation
from weir.metrics_api.storage.port import Accounts, StorageError, StoredJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.fixtures import HeldClock

    from weir.events.stream import StreamId

EMPTY = StreamState(0, 0, 0, 0, 0.0, 1, 0)


def account(boot_id: str = "b1", **numbers: Any) -> Account:
    """One in which the numbers agree, of a proxy of which all is confirmed unless told otherwise."""
    parts = {"acknowledged": 0, "in_journal": 0, "dropped": 0, "in_flight": 0, **numbers}
    accepted = sum(parts[name] for name in ("acknowledged", "in_journal", "dropped", "in_flight"))
    known: dict[str, Any] = {"proxy_id": "p", "sent_at": 0, "accepted": accepted, **parts}
    return Account(boot_id=boot_id, **known)


def stream(waiting: int, **told: Any) -> StreamState:
    values = {"entries": waiting, "unread": waiting, "unread_at_least": waiting, "pending": 0, **told}
    return StreamState(lag_seconds=1.5, consumers=1, dead_letters=0, **values)


class Places:
    """What each place says, to be changed by the test; also the database."""

    def __init__(self, clock: HeldClock) -> None:
        self.clock = clock
        self.in_redis: list[Account] = []
        self.alive = {"p/b1"}
        self.waiting = EMPTY
        self.put_aside: dict[str, int] = {}
        self.journals: list[StoredJournal] = []
        self.kept: list[Account] = []
        self.writes = 0
        self.redis_trouble: str | None = None
        self.database_trouble: str | None = None
        self.reconciliation = Reconciliation(self, self, clock.monotonic)

    async def passage(self) -> Passage:
        if self.redis_trouble:
            raise CorridorError(self.redis_trouble)
        now = self.clock.now_us()
        return Passage(list(self.in_redis), dict.fromkeys(self.alive, now), self.waiting, self.put_aside)

    async def forget(self, accounts: Sequence[Account]) -> None:
        self.in_redis = [one for one in self.in_redis if one not in accounts]

    async def accounts(self) -> Accounts:
        if self.database_trouble:
            raise StorageError(self.database_trouble)
        return Accounts(list(self.journals), list(self.kept))

    async def keep_accounts(self, accounts: Sequence[Account]) -> None:
        self.writes += 1
        news = {one.boot_id for one in accounts}
        self.kept = [one for one in self.kept if one.boot_id not in news] + list(accounts)

    async def settled_to(self, stream: str) -> StreamId | None:
        raise AssertionError

    async def note_settled(self, stream: str, entry: StreamId) -> None:
        raise AssertionError

    def stored(
        self, journal: str, count: int, *, last: int | None = None, numbered: int | None = None
    ) -> None:
        numbered = count if numbered is None else numbered
        self.journals = [one for one in self.journals if one.journal != journal]
        self.journals.append(StoredJournal("p", journal, count, numbered, last or numbered))

    async def report(self) -> dict[str, Any]:
        return await self.reconciliation.report(self.clock.now_us())

    async def settled(self) -> dict[str, Any]:
        """The report when what seems to be missing has seemed so for long."""
        await self.report()
        self.clock.advance(SETTLE_SECONDS)
        return await self.report()


@pytest.fixture
def places(clock: HeldClock) -> Places:
    return Places(clock)


def numbers(report: dict[str, Any]) -> dict[str, Any]:
    return {name: number for name, number in report["total"].items() if number != 0}


async def test_nothing_has_happened_yet(places: Places) -> None:
    report = await places.report()
    assert set(report["total"].values()) == {0}
    assert (report["proxies"], report["unknown"], report["lag_entries"]) == ([], {}, 0)


async def test_every_request_is_in_one_place(places: Places) -> None:
    places.in_redis = [account(acknowledged=80, in_journal=5, in_flight=10, dropped=5)]
    places.waiting = stream(7)
    places.put_aside = {"p/b1": 3, "": 9}
    places.stored("b1-1", 40)
    places.stored("b1-2", 30)
    report = await places.report()
    assert numbers(report) == {
        "accepted": 100, "in_flight": 10, "in_journal": 5, "in_stream": 7, "stored": 70, "dead_lettered": 3,
        "dropped": 5,
    }  # fmt: skip
    (life,) = report["proxies"]
    assert {name: life[name] for name in report["total"]} == report["total"]
    assert (life["alive"], life["unknown"]) == (True, {})


async def test_what_is_in_no_place_is_unaccounted_for_once_that_is_sure(places: Places) -> None:
    places.in_redis = [account(acknowledged=100)]
    places.waiting = stream(10)
    places.stored("b1-1", 86)
    report = await places.report()
    assert report["total"]["unaccounted"] is None
    assert "4 records are being looked for" in report["unknown"]["unaccounted"]
    places.clock.advance(SETTLE_SECONDS - 0.1)
    assert (await places.report())["total"]["unaccounted"] is None
    places.clock.advance(0.1)
    report = await places.report()
    assert report["total"]["unaccounted"] == report["proxies"][0]["unaccounted"] == 4
    assert report["unknown"] == {}
    places.stored("b1-1", 100)
    assert (await places.report())["total"]["unaccounted"] == 0, "they have come after all"


async def test_what_a_redis_lost_and_is_given_again_never_counts(places: Places) -> None:
    """As after its restart: for a moment the confirmed records are nowhere."""
    places.in_redis = [account(acknowledged=100)]
    places.stored("b1-1", 60)
    assert (await places.report())["total"]["unaccounted"] is None
    places.clock.advance(SETTLE_SECONDS / 2)
    places.waiting = stream(100)  # what was stored comes again, too
    assert (await places.report())["total"]["unaccounted"] == 0
    places.clock.advance(SETTLE_SECONDS / 2)
    places.waiting = EMPTY
    places.stored("b1-1", 99)
    assert (await places.report())["total"]["unaccounted"] is None, "looked for anew"


async def test_what_was_finished_since_the_report_hides_no_loss(places: Places) -> None:
    """The account is a second old, and the database ahead of it: only the gap in the numbers tells."""
    places.in_redis = [account(acknowledged=1000)]
    places.stored("b1-1", 1497, last=1500)
    report = await places.settled()
    assert report["total"]["unaccounted"] == 3
    assert report["total"]["accepted"] == 1497, "more than was reported, since they are there"


async def test_one_proxys_new_records_do_not_stand_for_anothers_lost_ones(places: Places) -> None:
    places.alive = {"p/b1", "p/b2"}
    places.in_redis = [account("b1", acknowledged=10), account("b2", acknowledged=10)]
    places.stored("b1-1", 25)
    places.stored("b2-1", 8)
    report = await places.settled()
    assert report["total"]["unaccounted"] == 2
    assert {life["boot_id"]: life["unaccounted"] for life in report["proxies"]} == {"b1": 0, "b2": 2}


@pytest.mark.parametrize(
    "explained",
    [
        {"waiting": stream(5)},
        {"waiting": stream(2, pending=3)},
        {"waiting": stream(9, unread=None, unread_at_least=500)},
        {"put_aside": {"p/b1": 5}},
        {"in_redis": [account(acknowledged=10, in_journal=5)]},
        {"in_redis": [account(acknowledged=10, dropped=5)]},
    ],
)
async def test_a_gap_may_be_explained(places: Places, explained: dict[str, Any]) -> None:
    places.in_redis = [account(acknowledged=10)]
    places.stored("b1-1", 10, last=15)
    for name, value in explained.items():
        setattr(places, name, value)
    assert (await places.settled())["total"]["unaccounted"] == 0


async def test_records_of_dead_processes_have_no_number_and_are_counted(places: Places) -> None:
    places.in_redis = [account(acknowledged=10, crashed=4)]
    places.stored("b1-1", 10, numbered=6, last=6)
    report = await places.settled()
    assert (report["total"]["unaccounted"], report["proxies"][0]["crashed"]) == (0, 4)


async def test_a_proxy_that_died_is_remembered_and_its_successor_finishes_its_account(places: Places) -> None:
    places.in_redis = [account(acknowledged=10, in_flight=2, in_journal=3)]
    places.stored("b1-1", 10)
    places.alive = set()
    places.clock.advance(60)
    (life,) = (await places.report())["proxies"]
    assert (life["alive"], life["in_flight"], life["in_journal"]) == (False, 0, None)
    assert "gone without a word" in life["unknown"]["in_journal"]
    report = await places.report()
    assert report["total"]["in_journal"] is None
    assert "gone without a word" in report["unknown"]["in_journal"]
    places.in_redis = [account(acknowledged=15, crashed=2, closed=True, sent_at=99)]
    places.stored("b1-1", 15, numbered=13, last=13)
    await places.reconciliation.keep()
    assert places.in_redis == [], "it is in the database now"
    report = await places.report()
    assert numbers(report) == {"accepted": 15, "stored": 15}
    (life,) = report["proxies"]
    assert (life["closed"], life["in_journal"], life["crashed"]) == (True, 0, 2)


async def test_a_proxy_that_stopped_with_nothing_under_way_has_nothing_in_its_journal(places: Places) -> None:
    places.in_redis = [account(acknowledged=10)]
    places.stored("b1-1", 10)
    places.alive = set()
    places.clock.advance(60)
    report = await places.report()
    assert (report["total"]["in_journal"], report["unknown"]) == (0, {})


async def test_only_news_is_stored(places: Places) -> None:
    places.in_redis = [account(acknowledged=1, sent_at=1)]
    await places.reconciliation.keep()
    places.in_redis = [account(acknowledged=1, sent_at=2)]
    await places.reconciliation.keep()
    assert places.writes == 1
    places.in_redis = [account(acknowledged=2, sent_at=3)]
    await places.reconciliation.keep()
    assert (places.writes, places.kept[0].acknowledged) == (2, 2)
    places.in_redis = [account(acknowledged=1, sent_at=1)]  # a Redis restored from an old copy
    assert (await places.report())["total"]["accepted"] == 2


async def test_an_earlier_versions_records_name_no_journal(places: Places) -> None:
    places.in_redis = [account(acknowledged=10, closed=True)]
    places.stored("", 25, numbered=0)
    report = await places.settled()
    assert numbers(report) == {"accepted": 10, "stored": 10}
    places.stored("", 9, numbered=0)
    assert (await places.settled())["total"]["unaccounted"] == 10


async def test_of_those_that_ended_well_the_newest_are_listed(places: Places) -> None:
    places.kept = [
        account(f"e{number}", acknowledged=1, closed=True, sent_at=number * 1000)
        for number in range(ENDED_LISTED + 5)
    ]
    for number in range(ENDED_LISTED + 5):
        places.stored(f"e{number}-1", 1)
    report = await places.report()
    assert (len(report["proxies"]), report["not_listed"]) == (ENDED_LISTED, 5)
    assert report["total"]["stored"] == ENDED_LISTED + 5
    assert report["proxies"][0]["boot_id"] == f"e{ENDED_LISTED + 4}"
    places.journals = [one for one in places.journals if one.journal != "e0-1"]
    report = await places.settled()
    assert (report["proxies"][-1]["boot_id"], report["proxies"][-1]["unaccounted"]) == ("e0", 1)


async def test_a_redis_that_counts_only_few(places: Places) -> None:
    places.in_redis = [account(acknowledged=9000)]
    places.stored("b1-1", 2000)
    places.waiting = stream(8000, unread=None, unread_at_least=500, pending=100)
    report = await places.report()
    assert (report["lag_entries"], report["total"]["unaccounted"]) == (7000, 0)
    places.stored("b1-1", 8900)
    assert (await places.report())["lag_entries"] == 600, "at least what was seen"


async def test_without_redis_nothing_is_claimed_but_what_is_stored(places: Places) -> None:
    places.kept = [account(acknowledged=5)]
    places.stored("b1-1", 5)
    places.redis_trouble = "connection refused"
    report = await places.report()
    known = {name for name, number in report["total"].items() if number is not None}
    assert (known, report["total"]["stored"], report["proxies"]) == ({"stored"}, 5, None)
    assert report["unknown"]["unaccounted"] == "Redis does not answer: connection refused"
    assert "stored" not in report["unknown"]
    places.database_trouble = "locked"
    assert set((await places.report())["total"].values()) == {None}


async def test_without_a_database_nothing_is_claimed_of_it(places: Places) -> None:
    places.in_redis = [account(acknowledged=5)]
    places.waiting = stream(5)
    places.database_trouble = "locked"
    report = await places.report()
    assert set(report["total"].values()) == {None}
    assert (report["lag_entries"], report["lag_seconds"]) == (5, 1.5)
    assert report["unknown"]["unaccounted"] == "the database does not answer: locked"
    assert not {"lag_entries", "lag_seconds"} & report["unknown"].keys()


async def test_one_line_in_the_log_when_something_is_missing_and_one_when_it_is_found(
    places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    registry = CollectorRegistry()
    watch = PipelineWatch(places.reconciliation, places.clock, registry)
    assert "not reconciled yet" in (await watch.check()).detail
    places.in_redis = [account(acknowledged=10)]
    places.stored("b1-1", 8)
    for _ in range(10):
        await watch.look()
        places.clock.advance(5)
    (line,) = caplog.records
    assert (line.levelname, line.__dict__["requests"], line.__dict__["proxies"]) == ("ERROR", 2, ["p/b1"])
    check = await watch.check()
    assert (check.ok, check.essential) == (False, False)
    assert check.detail == "2 of 10 requests unaccounted for"
    text = generate_latest(registry).decode()
    assert 'weir_pipeline_requests{place="unaccounted"} 2.0' in text
    assert 'weir_pipeline_requests{place="stored"} 8.0' in text
    places.stored("b1-1", 10)
    for _ in range(3):
        await watch.look()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    places.redis_trouble = "gone"
    with pytest.raises(CorridorError):
        await watch.look()
    assert 'place="unaccounted"' not in generate_latest(registry).decode()

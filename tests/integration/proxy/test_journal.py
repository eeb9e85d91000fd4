"""The journal of a real proxy: full, on a disk that takes nothing, left behind, and never out of balance."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from redis.asyncio import Redis
from tests.support.fake_llm import FakeLLM
from tests.support.load import Ledger
from tests.support.processes import children, command_line
from tests.support.proxy import CHAT, ask, completion, start_proxy
from tests.support.raw_http import fetch, post_json
from tests.support.records import Records, marker
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually

from weir.events.accounts import Account, read_accounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.processes import Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers through /proc")
LONG: Final = 30.0


class House:
    """One Redis, one upstream, one data folder, and any number of proxies."""

    def __init__(self, directory: Path, fake: FakeLLM) -> None:
        self.fake = fake
        self.data = directory / "data"
        self.redis = RedisServer(directory / "redis")
        self.proxies: list[Process] = []

    async def start(self, **settings: str) -> Process:
        process = await asyncio.to_thread(
            start_proxy, self.redis.url, self.data, {"WEIR_UPSTREAM_URL": self.fake.url, **settings}
        )
        self.proxies.append(process)
        return process

    async def accounts(self) -> list[Account]:
        async with Redis.from_url(self.redis.url) as redis:
            return await read_accounts(redis)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(FakeLLM())
        house = House(tmp_path, fake)
        yield house
        for proxy in house.proxies:
            if proxy.running():
                proxy.kill9()
            else:
                proxy.stop()
        house.redis.stop()


async def journal_check(proxy: Process) -> dict[str, Any]:
    answer = await fetch(proxy.announced["admin_url"], "GET", "/readyz")
    assert answer.status == 200, "it serves on"
    found: dict[str, Any] = answer.json()["checks"]["journal"]
    return found


async def check_becomes(proxy: Process, ok: bool, words: str = "") -> None:
    async def is_it() -> bool:
        check = await journal_check(proxy)
        return check["ok"] is ok and words in check["detail"]

    await eventually(is_it, f"the journal's check says {ok} {words}", deadline=LONG)


async def totals_become(house: House, right: Callable[[Account], bool]) -> Account:
    """The sum over all lives, as soon as it is as it should be; each account is in balance all the time."""
    fields = ("accepted", "journaled", "crashed", "acknowledged", "dropped", "in_flight", "in_journal")

    async def reached() -> Account | None:
        accounts = await house.accounts()
        for one in accounts:
            assert one.accepted == one.acknowledged + one.in_journal + one.dropped + one.in_flight
        sums: dict[str, Any] = {name: sum(getattr(one, name) for one in accounts) for name in fields}
        total = Account(proxy_id="", boot_id="", sent_at=0, **sums)
        return total if right(total) else None

    total = await eventually(reached, "the accounts are as they should be", deadline=LONG)
    assert total is not None
    return total


async def test_a_full_journal_drops_and_counts_and_takes_records_again(house: House) -> None:
    proxy = await house.start(WEIR_JOURNAL_MAX_BYTES="20KiB")
    for _ in range(80):
        assert (await ask(proxy.url, "answer", marker())).status == 200
    await check_becomes(proxy, False, "WEIR_JOURNAL_MAX_BYTES")
    assert sum(path.stat().st_size for path in house.data.rglob("*.segment")) < 40_000
    house.redis.start()
    await check_becomes(proxy, True, "records dropped")
    last = marker()
    assert (await ask(proxy.url, "answer", last)).status == 200
    total = await totals_become(house, lambda total: total.acknowledged + total.dropped == 81)
    assert 0 < total.dropped < 81
    async with Redis.from_url(house.redis.url) as redis:
        records = Records(redis)
        await records.of(last)
        assert len(records.events) == total.acknowledged
    assert proxy.stderr.count("journal takes no records") == 1, "one line, not one a request"


@pytest.mark.parametrize(
    ("path", "where"),
    [(CHAT, ("error", "code")), ("/v1/messages", ("error", "type")), ("/api/chat", ("error",))],
)
async def test_a_full_journal_may_reject_requests_instead(
    house: House, path: str, where: tuple[str, ...]
) -> None:
    proxy = await house.start(WEIR_JOURNAL_MAX_BYTES="20KiB", WEIR_JOURNAL_FULL="reject")
    body = completion("answer")
    answered = 0
    while (answer := await post_json(proxy.url, path, body)).status == 200:
        answered += 1
        assert answered < 200, "it is full some time"
    assert answer.status == 503
    assert answer.header("retry-after") == "1"
    said = answer.json()
    for name in where:
        said = said[name]
    assert said
    await check_becomes(proxy, False, "WEIR_JOURNAL_MAX_BYTES")
    house.redis.start()

    async def served_again() -> bool:
        return (await post_json(proxy.url, path, body)).status == 200

    await eventually(served_again, "requests are let in again", deadline=LONG)
    await totals_become(
        house, lambda total: total.dropped == 0 and total.accepted == total.acknowledged == answered + 1
    )


async def test_a_disk_that_takes_nothing_costs_records_and_nothing_else(house: House) -> None:
    house.redis.start()
    proxy = await house.start()
    for _ in range(5):
        assert (await ask(proxy.url, "answer", marker())).status == 200
    (worker,) = workers(proxy)
    limits = resource.prlimit(worker, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    for _ in range(20):
        assert (await ask(proxy.url, "answer", marker())).status == 200
    await check_becomes(proxy, False, "File too large")
    resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
    await check_becomes(proxy, True, "20 records dropped")
    marks = [marker() for _ in range(5)]
    for mark in marks:
        assert (await ask(proxy.url, "answer", mark)).status == 200
    await totals_become(house, lambda total: (total.acknowledged, total.dropped) == (10, 20))
    async with Redis.from_url(house.redis.url) as redis:
        await Records(redis).of_all(marks)
    assert proxy.stderr.count("journal takes no records") == 1


async def test_whoever_is_killed_the_accounts_agree_with_the_stream(house: House) -> None:
    """Workers and whole proxies die under load; in the end every request that was accepted has one record."""
    house.redis.start()
    two = {"WEIR_PROXY_WORKERS": "2"}
    whole: list[str] = []
    for round_number in range(4):
        proxy = await house.start(**two)
        ledger = Ledger(proxy.url)

        async def break_things(proxy: Process = proxy, ledger: Ledger = ledger) -> None:
            await ledger.more(30)
            os.kill(workers(proxy)[0], signal.SIGKILL)
            await ledger.more(30)
            for pid in [proxy.pid, *workers(proxy)]:
                os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(proxy.wait)

        await ledger.load(6, break_things)
        assert len(ledger.whole) >= 60, round_number
        whole += ledger.whole
    last = await house.start(**two)
    total = await totals_become(
        house, lambda total: total.accepted == total.acknowledged and total.in_flight == 0
    )
    assert total.dropped == 0
    async with Redis.from_url(house.redis.url) as redis:
        # What was on its way when a parent died is sent again, for its answer did not come: the same bytes.
        records = Records(redis, repeats_allowed=True)
        await records.of_all(whole)
        by_id = {event.request_id: event for event in records.events}
        assert len(by_id) == total.accepted
        crashed = [event for event in by_id.values() if event.error_type == "proxy_crashed"]
        assert len(crashed) == total.crashed
    closed = [one for one in await house.accounts() if one.closed]
    assert len(closed) == 4
    assert await asyncio.to_thread(last.stop) == 0, last.stderr


async def test_the_journal_of_another_proxy_that_is_gone_is_shipped(house: House) -> None:
    """As on a volume that proxies share. The owner finds its folder free when it comes back."""
    gone = await house.start(WEIR_PROXY_ID="gone")
    marks = [marker() for _ in range(10)]
    for mark in marks:
        assert (await ask(gone.url, "answer", mark)).status == 200
    for pid in [gone.pid, *workers(gone)]:
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(gone.wait)
    others = [
        await house.start(WEIR_PROXY_ID=name, WEIR_JOURNAL_ADOPT_AFTER="500ms") for name in ("one", "two")
    ]
    house.redis.start()
    async with Redis.from_url(house.redis.url) as redis:
        records = Records(redis)
        for record in await records.of_all(marks, deadline=LONG):
            assert record.proxy_id == "gone"
        await totals_become(house, lambda total: total.acknowledged == 10)
        await records.read()
        records.assert_once()
    again = await house.start(WEIR_PROXY_ID="gone")
    assert (await ask(again.url, "answer", marker())).status == 200
    await totals_become(house, lambda total: total.acknowledged == 11)
    assert {one.proxy_id for one in await house.accounts()} == {"gone", "one", "two"}
    for proxy in (*others, again):
        assert await asyncio.to_thread(proxy.stop) == 0, proxy.stderr


async def test_with_fsync_always_requests_are_served(house: House) -> None:
    house.redis.start()
    proxy = await house.start(WEIR_JOURNAL_FSYNC="always")
    marks = [marker() for _ in range(10)]
    for mark in marks:
        assert (await ask(proxy.url, "answer", mark, stream=True)).status == 200
    async with Redis.from_url(house.redis.url) as redis:
        await Records(redis).of_all(marks)
    assert await asyncio.to_thread(proxy.stop) == 0, proxy.stderr
    (account,) = await house.accounts()
    assert (account.accepted, account.acknowledged, account.in_journal) == (10, 10, 0), "its last word"


def workers(proxy: Process) -> list[int]:
    return [pid for pid in children(proxy.pid) if "resource_tracker" not in command_line(pid)]

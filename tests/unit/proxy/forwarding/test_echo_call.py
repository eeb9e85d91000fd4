"""The demo model's answer at its pace: paused, left, and broken by a mistake of ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.support.proxy_in_memory import ClientEnd, InMemoryProxy, turns

from weir.events import Outcome
from weir.proxy.config import DEMO
from weir.proxy.providers.openai import ChatStreamReader

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"model":"demo","stream":true,"messages":[{"content":"a b"}]}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Timers:
    """Timers that go off when told to, in place of the loop's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[asyncio.TimerHandle] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._call_later)

    def _call_later(self, delay: float, call: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        assert delay >= 0
        self.waiting.append(asyncio.TimerHandle(delay, call, args, asyncio.get_running_loop()))
        return self.waiting[-1]

    def next(self) -> bool:
        """Let the next one go off; False if there is none."""
        due = [timer for timer in self.waiting if not timer.cancelled()]
        self.waiting.clear()
        for timer in due:
            timer._run()
        return bool(due)


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    return Timers(monkeypatch)


@pytest.fixture
def demo(make_proxy: Callable[..., InMemoryProxy]) -> InMemoryProxy:
    return make_proxy(upstreams=[DEMO])


async def ask(proxy: InMemoryProxy) -> ClientEnd:
    client = proxy.client()
    await client.say(POST)
    return client


async def test_it_plays_to_its_end(demo: InMemoryProxy, timers: Timers) -> None:
    client = await ask(demo)
    while timers.next():
        pass
    answer = client.take()
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    record = demo.record()
    assert (record.outcome, record.provider, record.usage_source) == (Outcome.COMPLETED, "echo", "reported")
    assert b'"usage"' not in answer


async def test_a_client_that_does_not_read_holds_it_up(demo: InMemoryProxy, timers: Timers) -> None:
    client = await ask(demo)
    timers.next()
    client.connection.pause_writing()
    client.take()
    timers.next()
    assert not timers.next(), "one piece waits, and nothing is scheduled behind it"
    assert client.take() == b""
    client.connection.resume_writing()
    assert client.take()
    while timers.next():
        pass
    assert demo.record().outcome is Outcome.COMPLETED


async def test_a_client_that_leaves_ends_it(demo: InMemoryProxy, timers: Timers) -> None:
    client = await ask(demo)
    timers.next()
    timers.next()
    await client.leave()
    assert not timers.next()
    assert demo.record().outcome is Outcome.CANCELLED


async def test_after_a_mistake_of_ours_it_plays_no_further(
    demo: InMemoryProxy, timers: Timers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise LookupError("unforeseen")

    client = await ask(demo)
    monkeypatch.setattr(ChatStreamReader, "feed", fail)
    timers.next()
    assert not timers.next()
    assert client.take().startswith(b"HTTP/1.1 500 ")
    assert demo.record().outcome is Outcome.INTERNAL_ERROR
    await client.say(POST)
    monkeypatch.undo()
    await client.leave()
    await turns()


async def test_it_lists_its_model(demo: InMemoryProxy, timers: Timers) -> None:
    client = demo.client()
    await client.say(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    timers.next()
    assert b'"id":"demo"' in client.take()
    assert demo.record().outcome is Outcome.COMPLETED

"""One attempt at an upstream under odd timing: connecting, reuse, time limits, leaving, pausing."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from tests.support.proxy_in_memory import TIMEOUTS, ClientEnd, InMemoryProxy, turns

from weir.events import Outcome
from weir.proxy.upstream import Timeouts, Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"model":"m"}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
ANSWER = HEAD + b"{}"


async def ask(proxy: InMemoryProxy) -> ClientEnd:
    client = proxy.client()
    await client.say(POST)
    return client


async def warm(proxy: InMemoryProxy) -> None:
    """Leave one kept connection behind."""
    await ask(proxy)
    proxy.upstream.say(ANSWER)
    proxy.upstream.take()
    assert proxy.record().outcome is Outcome.COMPLETED


class TestConnecting:
    async def test_a_client_that_leaves_meanwhile(self, proxy: InMemoryProxy) -> None:
        proxy.network.gate.clear()
        client = await ask(proxy)
        assert proxy.forwarder.is_busy
        await client.leave()
        record = proxy.record()
        assert record.outcome is Outcome.CANCELLED
        assert [(attempt.upstream, attempt.error) for attempt in record.attempts or ()] == [
            ("one", "cancelled")
        ]
        proxy.network.gate.set()
        await turns()
        assert proxy.network.ends == []
        assert not proxy.forwarder.is_busy

    @pytest.mark.parametrize(
        ("refusal", "code"),
        [
            (ConnectionRefusedError("refused"), "upstream_unreachable"),
            (OSError("no route"), "upstream_unreachable"),
            (ssl.SSLCertVerificationError("self-signed"), "upstream_tls"),
            (TimeoutError("connect"), "upstream_timeout"),
            (UnicodeError("label too long"), "internal_error"),
        ],
    )
    async def test_an_upstream_that_cannot_be_reached(
        self, proxy: InMemoryProxy, refusal: Exception, code: str
    ) -> None:
        proxy.network.refusal = refusal
        client = await ask(proxy)
        assert f'"code":"{code}"'.encode() in client.take()
        record = proxy.record()
        assert record.error_type == code
        assert [attempt.error for attempt in record.attempts or ()] == [code]

    async def test_a_client_that_pauses_meanwhile_is_not_flooded(self, proxy: InMemoryProxy) -> None:
        proxy.network.gate.clear()
        client = await ask(proxy)
        client.connection.pause_writing()
        proxy.network.gate.set()
        await turns()
        assert proxy.upstream.transport.is_reading_paused
        client.connection.resume_writing()
        assert not proxy.upstream.transport.is_reading_paused
        proxy.upstream.say(ANSWER)
        assert proxy.record().outcome is Outcome.COMPLETED


class TestReuse:
    async def test_a_kept_connection_that_closes_unheard_is_replaced_once(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await ask(proxy)
        proxy.network.ends[0].lose()
        await turns()
        first, second = proxy.network.ends
        assert second.take() == first.take()
        assert client.take() == b""
        second.say(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 ")
        record = proxy.record()
        assert (record.outcome, record.retries) == (Outcome.COMPLETED, 1)
        assert [attempt.error for attempt in record.attempts or ()] == ["kept connection was closed", None]

    async def test_the_second_time_it_is_an_error(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await ask(proxy)
        proxy.network.ends[0].lose()
        await turns()
        proxy.network.ends[1].lose(ConnectionResetError("reset"))
        await turns()
        assert len(proxy.network.ends) == 2
        assert b'"code":"upstream_disconnected"' in client.take()
        assert proxy.record().outcome is Outcome.UPSTREAM_ERROR

    async def test_a_client_that_leaves_while_it_is_replaced(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await ask(proxy)
        proxy.network.gate.clear()
        proxy.network.ends[0].lose()
        await turns()
        assert proxy.forwarder.is_busy
        await client.leave()
        proxy.network.gate.set()
        await turns()
        assert len(proxy.network.ends) == 1
        record = proxy.record()
        assert (record.outcome, record.retries) == (Outcome.CANCELLED, 1)
        assert [attempt.error for attempt in record.attempts or ()] == [
            *("kept connection was closed", "cancelled")
        ]

    async def test_the_replacement_that_cannot_connect(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await ask(proxy)
        proxy.network.refusal = ConnectionRefusedError("refused")
        proxy.network.ends[0].lose()
        await turns()
        assert b'"code":"upstream_unreachable"' in client.take()
        assert proxy.record().retries == 1

    async def test_what_has_begun_to_answer_is_never_asked_again(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await ask(proxy)
        proxy.upstream.say(HEAD)
        proxy.upstream.lose()
        await turns()
        assert len(proxy.network.ends) == 1
        assert client.transport.aborted
        assert proxy.record().outcome is Outcome.TRUNCATED

    async def test_garbage_on_a_kept_connection_is_not_asked_again(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await ask(proxy)
        proxy.upstream.say(b"garbage\r\n\r\n")
        await turns()
        assert len(proxy.network.ends) == 1
        assert b'"code":"upstream_bad_response"' in client.take()
        assert proxy.record().outcome is Outcome.UPSTREAM_ERROR


class TestTimeLimits:
    async def test_no_answer(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.sweep_after(TIMEOUTS.first_byte - 1)
        assert client.take() == b""
        proxy.sweep_after(2)
        assert client.take().startswith(b"HTTP/1.1 504 ")
        assert proxy.upstream.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.error_type) == (Outcome.TIMEOUT, "upstream_timeout")
        assert [attempt.error for attempt in record.attempts or ()] == ["timeout"]

    async def test_a_head_that_drips_is_no_answer_yet(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        for byte in HEAD[:7]:
            proxy.upstream.say(bytes([byte]))
            proxy.sweep_after(TIMEOUTS.first_byte / 6)
            if proxy.upstream.transport.aborted:
                break
        assert client.take().startswith(b"HTTP/1.1 504 ")

    async def test_an_answer_that_stops(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.upstream.say(HEAD + b"{")
        proxy.sweep_after(TIMEOUTS.idle + 1)
        assert client.transport.aborted
        assert proxy.record().outcome is Outcome.TIMEOUT

    async def test_a_client_that_does_not_read_is_not_the_upstreams_fault(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.upstream.say(HEAD + b"{")
        client.connection.pause_writing()
        proxy.sweep_after(TIMEOUTS.idle + 1)
        client.connection.resume_writing()
        proxy.sweep_after(TIMEOUTS.idle - 1)
        proxy.upstream.say(b"}")
        assert proxy.record().outcome is Outcome.COMPLETED

    async def test_an_answer_that_never_ends(self, proxy: InMemoryProxy) -> None:
        client = await ask(proxy)
        proxy.upstream.say(HEAD.replace(b": 2", b": 100"))
        while not client.transport.closed:
            proxy.upstream.say(b"x")
            proxy.sweep_after(TIMEOUTS.idle - 1)
        assert proxy.clock.monotonic() < TIMEOUTS.total + TIMEOUTS.idle
        assert proxy.record().outcome is Outcome.TIMEOUT

    async def test_an_upstream_may_have_its_own(self, make_proxy: Callable[..., InMemoryProxy]) -> None:
        patient = Upstream(name="one", url="http://one.test", timeouts=Timeouts(5.0, 500.0, 30.0, 900.0))
        proxy = make_proxy(upstreams=[patient])
        client = await ask(proxy)
        proxy.sweep_after(TIMEOUTS.first_byte + 1)
        assert client.take() == b""
        proxy.sweep_after(500)
        assert client.take().startswith(b"HTTP/1.1 504 ")


async def test_an_answer_that_ends_while_the_client_does_not_read(proxy: InMemoryProxy) -> None:
    client = await ask(proxy)
    client.connection.pause_writing()
    assert proxy.upstream.transport.is_reading_paused
    proxy.upstream.say(ANSWER)  # what the loop had read already
    assert proxy.record().outcome is Outcome.COMPLETED
    assert not proxy.upstream.transport.is_reading_paused
    # The connection goes to somebody else; the slow client has no more say over it.
    other = await ask(proxy)
    assert len(proxy.network.ends) == 1
    client.connection.resume_writing()
    client.connection.pause_writing()
    assert not proxy.upstream.transport.is_reading_paused
    proxy.upstream.say(ANSWER)
    assert other.take().endswith(b"{}")
    assert proxy.record().outcome is Outcome.COMPLETED


async def test_pipelined_answers_come_in_order_and_one_at_a_time(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(POST * 3)
    for number in range(3):
        assert proxy.upstream.take().count(b"POST ") == 1
        proxy.upstream.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{%d}" % number)
        await turns()
        assert client.take().endswith(b"{%d}" % number)
    assert [record.outcome for record in proxy.records()] == [Outcome.COMPLETED] * 3
    assert len(proxy.network.ends) == 1


async def test_a_client_that_leaves_with_more_in_the_pipe(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(POST * 3)
    await client.leave()
    assert len(proxy.network.ends) == 1
    assert proxy.record().outcome is Outcome.CANCELLED

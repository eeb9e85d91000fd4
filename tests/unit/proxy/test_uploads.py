"""Forms and files are sent on as they come: nothing is held but what the choice of the upstream needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.proxy_in_memory import TIMEOUTS, ClientEnd, InMemoryProxy, turns

from weir.events import Outcome
from weir.proxy.upstream import Upstream
from weir.proxy.wire.patience import BODY_SECONDS, ClientTimeouts

if TYPE_CHECKING:
    from collections.abc import Callable

FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n%b\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
END = b"\r\n--b--\r\n"
PIECE = b"x" * (128 << 10)
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"text":"hi"}'
RATES = ClientTimeouts(head=10.0, keep_alive=75.0, body_rate=500.0)
BEGINNING = FORM % b"whisper" + FILE


def head(length: int | None, path: str = "/v1/audio/transcriptions", more: str = "") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}{framing}\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def begin(proxy: InMemoryProxy, pieces: int = 8) -> ClientEnd:
    """Send a form's head, its fields and the first piece of a file of so many."""
    client = proxy.client()
    await client.say(head(len(BEGINNING) + pieces * len(PIECE) + len(END)) + BEGINNING + PIECE)
    return client


async def warm(proxy: InMemoryProxy) -> None:
    """Leave one kept connection behind."""
    small = BEGINNING + END
    await proxy.client().say(head(len(small)) + small)
    proxy.upstream.say(ANSWER)
    proxy.upstream.take()
    proxy.record()


async def test_a_form_goes_on_before_it_is_whole(proxy: InMemoryProxy) -> None:
    client = await begin(proxy)
    first = proxy.upstream.take()
    assert b"Content-Length: %d\r\n" % (len(BEGINNING) + 8 * len(PIECE) + len(END)) in first
    assert first.endswith(BEGINNING + PIECE)
    for _ in range(7):
        await client.say(PIECE)
        assert proxy.upstream.take() == PIECE
    await client.say(END)
    assert proxy.upstream.take() == END
    proxy.upstream.say(ANSWER)
    assert client.take().endswith(b'{"text":"hi"}')
    record = proxy.record()
    assert (record.outcome, record.model_requested) == (Outcome.COMPLETED, "whisper")
    assert record.request_bytes == len(BEGINNING) + 8 * len(PIECE) + len(END)
    await begin(proxy, pieces=1)
    assert len(proxy.network.ends) == 1, "the connection is kept"


async def test_a_chunked_one_goes_on_in_chunks_of_ours(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(head(None) + chunk(BEGINNING) + b"20000;ignored=1\r\n" + PIECE + b"\r\n")
    first = proxy.upstream.take()
    assert b"Transfer-Encoding: chunked\r\n" in first
    assert b"Content-Length" not in first
    assert first.endswith(b"\r\n\r\n" + chunk(BEGINNING + PIECE))
    await client.say(chunk(END) + b"0\r\n\r\n")
    assert proxy.upstream.take() == chunk(END) + b"0\r\n\r\n"
    proxy.upstream.say(ANSWER)
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert proxy.record().outcome is Outcome.COMPLETED


async def test_a_file_goes_on_from_its_first_byte(make_proxy: Callable[..., InMemoryProxy]) -> None:
    proxy = make_proxy(open_groups=["files"])
    client = proxy.client()
    await client.say(head(6, "/v1/files") + b"abc")
    assert proxy.upstream.take().endswith(b"Content-Length: 6\r\n\r\nabc")
    await client.say(b"def")
    assert proxy.upstream.take() == b"def"
    proxy.upstream.say(ANSWER)
    assert proxy.record().outcome is Outcome.COMPLETED


async def test_the_models_name_may_be_another_upstream(make_proxy: Callable[..., InMemoryProxy]) -> None:
    upstream = Upstream(name="one", url="http://upstream.test", rename={"whisper": "openai/whisper-large"})
    proxy = make_proxy(upstreams=[upstream])
    await begin(proxy)
    first = proxy.upstream.take()
    grown = len("openai/whisper-large") - len("whisper")
    assert b"Content-Length: %d\r\n" % (len(BEGINNING) + 8 * len(PIECE) + len(END) + grown) in first
    assert first.endswith(FORM % b"openai/whisper-large" + FILE + PIECE)


class TestFilesBeforeTheModel:
    async def test_one_upstream_gets_it_all_the_same(self, proxy: InMemoryProxy) -> None:
        client = proxy.client()
        await client.say(head(10 << 20) + FILE + PIECE)
        assert proxy.network.ends == []
        for _ in range(16):
            await client.say(PIECE)
        assert len(proxy.upstream.take()) > 1 << 20

    async def test_several_need_the_model_first(self, make_proxy: Callable[..., InMemoryProxy]) -> None:
        upstreams = [Upstream(name=name, url=f"http://{name}.test", models=(name,)) for name in ("a", "b")]
        proxy = make_proxy(upstreams=upstreams, max_body_bytes=2 << 20)
        client = proxy.client()
        await client.say(head(10 << 20) + FILE)
        for _ in range(40):
            await client.say(PIECE)
        assert b'"code":"model_after_file"' in client.take()
        assert proxy.record().outcome is Outcome.REJECTED

    async def test_where_it_comes_soon_enough(self, make_proxy: Callable[..., InMemoryProxy]) -> None:
        upstreams = [Upstream(name=name, url=f"http://{name}.test", models=(name,)) for name in ("a", "b")]
        proxy = make_proxy(upstreams=upstreams, max_body_bytes=2 << 20)
        client = proxy.client()
        body = FILE + PIECE + b"\r\n" + FORM % b"b" + b"--b--\r\n"
        await client.say(head(len(body)) + body)
        assert proxy.networks["a"].ends == []
        assert proxy.networks["b"].ends[0].take().endswith(body)


class TestFlow:
    async def test_an_upstream_that_does_not_read_holds_the_client_up(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        proxy.upstream.connection.pause_writing()
        assert client.transport.is_reading_paused
        proxy.upstream.connection.resume_writing()
        assert not client.transport.is_reading_paused

    async def test_connecting_does(self, proxy: InMemoryProxy) -> None:
        proxy.network.gate.clear()
        client = await begin(proxy)
        assert client.transport.is_reading_paused
        client.connection.data_received(PIECE)  # what the loop had read already
        proxy.network.gate.set()
        await turns()
        assert not client.transport.is_reading_paused
        assert proxy.upstream.take().endswith(BEGINNING + PIECE + PIECE)

    async def test_one_that_never_reads_again_is_given_up(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        proxy.upstream.connection.pause_writing()
        proxy.sweep_after(TIMEOUTS.idle + 1)
        assert client.take().startswith(b"HTTP/1.1 504 ")
        assert proxy.upstream.transport.aborted
        assert proxy.record().outcome is Outcome.TIMEOUT

    async def test_an_upload_may_take_its_time(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        for _ in range(7):
            proxy.sweep_after(TIMEOUTS.first_byte)
            await client.say(PIECE)
        await client.say(END)
        assert client.take() == b""
        proxy.upstream.say(ANSWER)
        assert proxy.record().outcome is Outcome.COMPLETED


class TestEarlyAnswers:
    async def test_it_is_relayed_and_both_connections_end(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        proxy.upstream.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 413 Too Large\r\n")
        assert b"Connection: close" in answer
        assert proxy.upstream.transport.aborted, "what is left of the request must not begin the next one"
        record = proxy.record()
        assert (record.outcome, record.status_code) == (Outcome.CLIENT_ERROR, 413)

    async def test_a_short_rest_is_dropped_and_the_client_kept(
        self, make_proxy: Callable[..., InMemoryProxy]
    ) -> None:
        proxy = make_proxy(open_groups=["files"])
        client = proxy.client()
        await client.say(head(6, "/v1/files") + b"abc")
        proxy.upstream.say(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 ")
        await client.say(b"def" + head(3, "/v1/files") + b"ghi")
        assert len(proxy.network.ends) == 2
        assert proxy.upstream.take().endswith(b"\r\n\r\nghi")


class TestEnds:
    async def test_the_client_leaves(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        await client.leave()
        assert proxy.upstream.transport.aborted
        assert proxy.record().outcome is Outcome.CANCELLED

    async def test_the_upstream_leaves(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        proxy.upstream.lose(ConnectionResetError("reset"))
        assert b'"code":"upstream_disconnected"' in client.take()
        assert proxy.record().outcome is Outcome.UPSTREAM_ERROR

    async def test_a_kept_connection_that_closed_is_replaced_while_all_is_held(
        self, proxy: InMemoryProxy
    ) -> None:
        await warm(proxy)
        client = await begin(proxy)
        proxy.network.ends[0].lose()
        await turns()
        assert proxy.upstream.take().endswith(BEGINNING + PIECE)
        for _ in range(7):
            await client.say(PIECE)
        await client.say(END)
        proxy.upstream.say(ANSWER)
        record = proxy.record()
        assert (record.outcome, record.retries) == (Outcome.COMPLETED, 1)

    async def test_but_not_when_some_is_gone(self, proxy: InMemoryProxy) -> None:
        await warm(proxy)
        client = await begin(proxy)
        await client.say(PIECE)
        proxy.network.ends[0].lose()
        await turns()
        assert len(proxy.network.ends) == 1
        assert b'"code":"upstream_disconnected"' in client.take()

    async def test_too_much_in_chunks(self, make_proxy: Callable[..., InMemoryProxy]) -> None:
        proxy = make_proxy(max_upload_bytes=3 * len(PIECE))
        client = proxy.client()
        await client.say(head(None) + chunk(BEGINNING + PIECE))
        await client.say(chunk(PIECE) + chunk(PIECE))
        assert client.take().startswith(b"HTTP/1.1 413 ")
        assert proxy.upstream.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.error_type) == (Outcome.REJECTED, "body_too_large")

    async def test_a_broken_chunk(self, proxy: InMemoryProxy) -> None:
        client = proxy.client()
        await client.say(head(None) + chunk(BEGINNING + PIECE))
        await client.say(b"zz\r\n")
        assert client.take().startswith(b"HTTP/1.1 400 ")
        assert proxy.upstream.transport.aborted, "half a request must not look like a whole one"
        assert proxy.record().outcome is Outcome.REJECTED


class TestSlowClients:
    def sweep(self, proxy: InMemoryProxy, client: ClientEnd, seconds: float) -> None:
        proxy.clock.advance(seconds)
        client.connection.sweep(proxy.clock.monotonic(), RATES)

    async def test_a_body_that_drips_is_refused(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        self.sweep(proxy, client, 0)
        await client.say(b"x" * int(500 * BODY_SECONDS + 1))
        self.sweep(proxy, client, BODY_SECONDS)
        assert client.take() == b""
        await client.say(b"x" * 100)
        self.sweep(proxy, client, BODY_SECONDS)
        assert client.take().startswith(b"HTTP/1.1 408 ")
        assert proxy.upstream.transport.aborted
        record = proxy.record()
        assert (record.outcome, record.error_type) == (Outcome.REJECTED, "request_timeout")

    async def test_so_is_one_that_is_held_for_its_model(self, proxy: InMemoryProxy) -> None:
        client = proxy.client()
        await client.say(head(1000, "/v1/chat/completions") + b'{"model":')
        self.sweep(proxy, client, 0)
        self.sweep(proxy, client, BODY_SECONDS)
        assert client.take().startswith(b"HTTP/1.1 408 ")
        assert proxy.record().status_code == 408

    async def test_who_is_held_up_is_not_slow(self, proxy: InMemoryProxy) -> None:
        client = await begin(proxy)
        self.sweep(proxy, client, 0)
        proxy.upstream.connection.pause_writing()
        self.sweep(proxy, client, BODY_SECONDS)
        proxy.upstream.connection.resume_writing()
        self.sweep(proxy, client, BODY_SECONDS / 2)
        assert client.take() == b""

    @pytest.mark.parametrize("seconds", [0, BODY_SECONDS * 10])
    async def test_a_whole_request_is_not_looked_at(self, proxy: InMemoryProxy, seconds: float) -> None:
        client = await begin(proxy, pieces=1)
        await client.say(END)
        self.sweep(proxy, client, 0)
        self.sweep(proxy, client, seconds)
        assert client.take() == b""
        proxy.upstream.say(ANSWER)
        assert proxy.record().outcome is Outcome.COMPLETED

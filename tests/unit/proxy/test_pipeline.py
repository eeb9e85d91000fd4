"""Every way through the proxy ends with one answer and one record."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.proxy_in_memory import ClientEnd, InMemoryProxy, turns

from weir.events import Outcome
from weir.proxy.forwarding.forward import Forwarder
from weir.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"model":"m","messages":[]}'


def post(body: bytes = BODY, *lines: str, path: str = "/v1/chat/completions") -> bytes:
    head = "".join(f"{line}\r\n" for line in ("Host: x", *lines))
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answer(document: dict[str, Any], status: str = "200 OK") -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        status.encode(),
        len(body),
        body,
    )


ANSWER = answer({"model": "m-1", "choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 3}})


def status_and_code(client: ClientEnd) -> tuple[int, str]:
    """Of the one answer that the client got."""
    head, _, body = client.take().partition(b"\r\n\r\n")
    assert b"HTTP/1.1" not in body, "two answers"
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


async def test_a_request_and_its_answer(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(post())
    assert proxy.upstream.take().endswith(b"\r\n\r\n" + BODY)
    proxy.upstream.say(ANSWER)
    answered = client.take()
    assert answered.endswith(ANSWER.partition(b"\r\n\r\n")[2])
    record = proxy.record()
    assert f"x-weir-request-id: {record.request_id}\r\n".encode() in answered
    assert (record.outcome, record.status_code, record.model, record.prompt_tokens) == (
        Outcome.COMPLETED,
        200,
        "m-1",
        3,
    )
    assert record.attempts is None


async def test_what_is_never_accepted_leaves_no_record(make_proxy: Callable[..., InMemoryProxy]) -> None:
    proxy = make_proxy(clients={hashlib.sha256(b"key").hexdigest(): "ada"})
    for request, expected in (
        (post(path="/v1/nowhere"), (404, "unknown_url")),
        (post().replace(b"POST", b"PATCH"), (405, "method_not_allowed")),
        (post(), (401, "invalid_api_key")),
        (post(BODY, "Authorization: Bearer wrong"), (401, "invalid_api_key")),
        (b"nonsense\r\n\r\n", (400, "malformed_request")),
    ):
        client = proxy.client()
        await client.say(request)
        assert status_and_code(client) == expected
    assert proxy.records() == []
    counts = proxy.counters.read()
    assert (counts["not_found"], counts["unauthorized"], counts["malformed"], counts["accepted"]) == (
        *(2, 2, 1),
        0,
    )


async def test_a_head_request_is_refused_without_a_body(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(b"HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    written = client.take()
    assert written.startswith(b"HTTP/1.1 405 ")
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"a":' + b"[" * 5000])
async def test_a_body_that_is_not_an_object(proxy: InMemoryProxy, body: bytes) -> None:
    client = proxy.client()
    await client.say(post(body))
    assert status_and_code(client) == (400, "invalid_json")
    record = proxy.record()
    assert (record.outcome, record.error_type, record.request_bytes) == (
        Outcome.REJECTED,
        "invalid_json",
        len(body),
    )
    assert not client.transport.closed
    assert proxy.network.ends == []


async def test_a_declared_body_over_the_limit_is_refused_before_it_comes(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(post().replace(b"Content-Length: 27", b"Content-Length: 10001"))
    assert status_and_code(client) == (413, "body_too_large")
    assert proxy.record().outcome is Outcome.REJECTED
    assert not client.transport.closed, "a body of that size is read and dropped"


async def test_a_chunked_body_over_the_limit_is_refused_when_it_passes_it(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    head = post().partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    await client.say(head + b"2710\r\n" + b"x" * 10_000 + b"\r\n")
    assert client.take() == b""
    assert [mark.error_type for mark in proxy.open_marks()] == ["proxy_crashed"]
    await client.say(b"1\r\nx\r\n")
    assert status_and_code(client) == (413, "body_too_large")
    assert proxy.record().request_bytes == 10_001
    assert client.transport.has_eof
    await client.say(b"1\r\nx\r\n0\r\n\r\n" + post())
    assert client.take() == b""


async def test_a_body_that_breaks_is_refused_with_its_record(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(post().partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert status_and_code(client) == (400, "malformed_request")
    assert proxy.record().error_type == "malformed_request"


async def test_more_in_flight_than_may_be(make_proxy: Callable[..., InMemoryProxy]) -> None:
    proxy = make_proxy(max_in_flight=1)
    first, second = proxy.client(), proxy.client()
    await first.say(post())
    await second.say(post())
    assert b"Retry-After: 1\r\n" in second.transport.written
    assert status_and_code(second) == (503, "overloaded")
    assert proxy.record().outcome is Outcome.REJECTED
    proxy.upstream.say(ANSWER)
    assert proxy.record().outcome is Outcome.COMPLETED
    await second.say(post())
    proxy.upstream.say(ANSWER)
    assert proxy.record().outcome is Outcome.COMPLETED


async def test_an_unknown_model(make_proxy: Callable[..., InMemoryProxy]) -> None:
    proxy = make_proxy(upstreams=[Upstream(name="one", url="http://u.test", models=("a*",))])
    client = proxy.client()
    await client.say(post())
    assert status_and_code(client) == (404, "model_not_found")
    record = proxy.record()
    assert (record.outcome, record.model_requested, record.upstream) == (Outcome.REJECTED, "m", None)


@pytest.mark.parametrize("at", range(0, len(post()), 9))
async def test_a_client_that_leaves_before_its_request_is_whole(proxy: InMemoryProxy, at: int) -> None:
    client = proxy.client()
    await client.say(post()[:at])
    await client.leave()
    records = proxy.records()
    assert [record.outcome for record in records] == [Outcome.CANCELLED] * (at >= len(post()) - len(BODY))


async def test_a_client_that_leaves_while_it_waits(proxy: InMemoryProxy) -> None:
    client = proxy.client()
    await client.say(post())
    await client.leave()
    assert proxy.upstream.transport.aborted
    record = proxy.record()
    assert (record.outcome, record.error_type, record.status_code) == (
        Outcome.CANCELLED,
        "client_disconnected",
        None,
    )
    proxy.upstream.say(ANSWER)
    proxy.upstream.lose()
    assert proxy.records() == []


async def test_cutting_what_is_in_flight_records_each(proxy: InMemoryProxy) -> None:
    clients = [proxy.client() for _ in range(3)]
    for client in clients:
        await client.say(post())
    proxy.pipeline.drop_all()
    assert [record.outcome for record in proxy.records()] == [Outcome.CANCELLED] * 3
    assert all(client.transport.aborted for client in clients)
    assert all(end.transport.aborted for end in proxy.network.ends)
    for client in clients:
        await client.leave()
    assert proxy.records() == []


async def test_what_nobody_foresaw_is_an_answer_and_a_record(
    proxy: InMemoryProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("unforeseen")

    monkeypatch.setattr(Forwarder, "send", fail)
    client = proxy.client()
    await client.say(post())
    assert status_and_code(client) == (500, "internal_error")
    record = proxy.record()
    assert (record.outcome, record.error_type) == (Outcome.INTERNAL_ERROR, "internal_error")
    assert "unforeseen" in caplog.text
    proxy.counters.add("in_flight_production", -1)


@pytest.mark.parametrize(
    "body", [b'{"\xff":1,"stream":true,"stream\\u005foptions":{}}', b'{"a":"\xff","model":"m"}']
)
async def test_text_that_is_none_passes_through(proxy: InMemoryProxy, body: bytes) -> None:
    client = proxy.client()
    await client.say(post(body))
    assert proxy.upstream.take().endswith(b"\r\n\r\n" + body)
    proxy.upstream.say(ANSWER)
    assert proxy.record().outcome is Outcome.COMPLETED


class TestListings:
    TWO = (Upstream(name="one", url="http://one.test"), Upstream(name="two", url="http://two.test"))
    GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"

    async def test_the_models_of_all_upstreams_are_one_list(
        self, make_proxy: Callable[..., InMemoryProxy]
    ) -> None:
        proxy = make_proxy(upstreams=self.TWO)
        client = proxy.client()
        await client.say(self.GET)
        proxy.networks["one"].ends[0].say(answer({"data": [{"id": "a"}, {"id": "b"}, {"no": "id"}, 7]}))
        proxy.networks["two"].ends[0].say(answer({"data": [{"id": "b", "later": 1}, {"id": "c"}]}))
        await turns()
        _, _, body = client.take().partition(b"\r\n\r\n")
        assert json.loads(body) == {"object": "list", "data": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}
        assert proxy.record().outcome is Outcome.COMPLETED
        assert all(network.take_idle() is not None for network in proxy.networks.values())

    @pytest.mark.parametrize("bad", [answer({}, "500 No"), answer({"data": 3}), b"garbage\r\n\r\n"])
    async def test_one_that_does_not_answer_is_left_out(
        self, make_proxy: Callable[..., InMemoryProxy], bad: bytes
    ) -> None:
        proxy = make_proxy(upstreams=self.TWO)
        client = proxy.client()
        await client.say(self.GET)
        proxy.networks["one"].ends[0].say(bad)
        proxy.networks["two"].ends[0].say(answer({"data": [{"id": "c"}]}))
        await turns()
        assert json.loads(client.take().partition(b"\r\n\r\n")[2])["data"] == [{"id": "c"}]
        assert proxy.record().outcome is Outcome.COMPLETED

    async def test_nobody_answers(self, make_proxy: Callable[..., InMemoryProxy]) -> None:
        proxy = make_proxy(upstreams=self.TWO)
        for network in proxy.networks.values():
            network.refusal = ConnectionRefusedError("refused")
        client = proxy.client()
        await client.say(self.GET)
        assert status_and_code(client) == (502, "upstream_unreachable")
        assert proxy.record().outcome is Outcome.UPSTREAM_ERROR

    async def test_a_mistake_of_ours_ends_the_exchange_too(
        self, make_proxy: Callable[..., InMemoryProxy], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object, **__: object) -> None:
            raise LookupError("unforeseen")

        monkeypatch.setattr(Forwarder, "fetch_all", fail)
        proxy = make_proxy(upstreams=self.TWO)
        client = proxy.client()
        await client.say(self.GET)
        assert status_and_code(client) == (500, "internal_error")
        assert proxy.record().outcome is Outcome.INTERNAL_ERROR

    async def test_a_refusal_never_cuts_the_request_that_has_the_connection_next(
        self, make_proxy: Callable[..., InMemoryProxy]
    ) -> None:
        proxy = make_proxy(upstreams=self.TWO)
        lister, asker = proxy.client(), proxy.client()
        await lister.say(self.GET)
        proxy.networks["two"].ends[0].lose()
        end = proxy.networks["one"].ends[0]
        end.say(answer({}, "404 Not Found"))
        # Before the one who asked for the list runs again, the connection is somebody else's.
        asker.connection.data_received(post())
        await turns()
        assert not end.transport.aborted
        end.say(ANSWER)
        assert asker.take().startswith(b"HTTP/1.1 200 ")
        assert {record.outcome for record in proxy.records()} == {Outcome.COMPLETED, Outcome.UPSTREAM_ERROR}

    async def test_a_client_that_leaves_has_one_record(
        self, make_proxy: Callable[..., InMemoryProxy]
    ) -> None:
        proxy = make_proxy(upstreams=self.TWO)
        client = proxy.client()
        await client.say(self.GET)
        await client.leave()
        for network in proxy.networks.values():
            network.ends[0].say(answer({"data": []}))
        await turns()
        assert proxy.record().outcome is Outcome.CANCELLED


async def test_a_page_of_an_allowed_origin_may_ask(make_proxy: Callable[..., InMemoryProxy]) -> None:
    proxy = make_proxy(origins=["https://app.test/"])
    client = proxy.client()
    preflight = (
        b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: x\r\nOrigin: %b\r\n"
        b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n"
    )
    await client.say(preflight % b"https://app.test")
    assert client.take() == (
        b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: https://app.test\r\nVary: Origin\r\n"
        b"Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: authorization\r\n"
        b"Access-Control-Max-Age: 600\r\n\r\n"
    )
    await client.say(preflight % b"https://evil.test")
    assert status_and_code(client) == (405, "method_not_allowed")
    await client.say(post(b"{", "Origin: https://app.test"))
    assert b"Access-Control-Allow-Origin: https://app.test\r\n" in client.transport.written
    assert status_and_code(client)[0] == 400
    assert proxy.record().outcome is Outcome.REJECTED

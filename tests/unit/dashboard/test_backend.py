"""The way to the metrics API: whole, unbuffered, one path only, and let go at once."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from tests.support.raw_http import Connection, IncompleteAnswerError, fetch

from weir.dashboard.app import create_app
from weir.dashboard.backend import is_relayed
from weir.dashboard.settings import DashboardSettings
from weir.servicekit.errors import ProblemError
from weir.servicekit.settings import load

if TYPE_CHECKING:
    from tests.unit.dashboard.conftest import Gateway, Serve

HTML = [("Accept", "text/html")]


def echo() -> web.Application:
    """A backend that says what it was sent."""

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        seen = {
            "method": request.method,
            "target": request.path_qs if request.rel_url.raw_path_qs == request.path_qs else request.raw_path,
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "body": body.decode(),
        }
        response = web.json_response(seen, status=203)
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        response.headers["Keep-Alive"] = "timeout=5"
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


async def test_a_request_arrives_as_it_was_sent(gateway: Gateway, serve: Serve) -> None:
    url = await gateway(await serve(echo()))
    answer = await fetch(
        url,
        "POST",
        "/graphql?q=model%3Allama3%20x&empty=",
        [
            ("Content-Type", "application/json"),
            ("X-Custom", "kept"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "removed"),
            ("X-Forwarded-For", "9.9.9.9"),
        ],
        b'{"query":"{ weir }"}',
    )
    seen = answer.json()
    headers = dict(seen["headers"])
    assert answer.status == 203
    assert (seen["method"], seen["target"]) == ("POST", "/graphql?q=model%3Allama3%20x&empty=")
    assert seen["body"] == '{"query":"{ weir }"}'
    assert (headers["x-custom"], headers["content-type"]) == ("kept", "application/json")
    assert "x-hop" not in headers
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == url.removeprefix("http://")
    assert "accept-encoding" not in headers
    assert answer.head.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.header("Keep-Alive") is None
    assert answer.header("Server") is None


async def test_a_chunked_body_is_passed_on(gateway: Gateway, serve: Serve) -> None:
    url = await gateway(await serve(echo()))
    async with await Connection.open(url) as connection:
        head = f"POST /api/x HTTP/1.1\r\nHost: {connection.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        await connection.send(head.encode() + b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n")
        assert (await connection.answer()).json()["body"] == "abcdefg"


async def test_encodings_are_left_to_the_two_ends(gateway: Gateway, serve: Serve) -> None:
    async def packed(_request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/api/x", packed)
    answer = await fetch(await gateway(await serve(app)), "GET", "/api/x", [("Accept-Encoding", "gzip")])
    assert answer.header("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.body) == b"{}"


async def test_redirects_are_handed_back_not_followed(gateway: Gateway, serve: Serve) -> None:
    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPFound("http://192.0.2.1/secret")

    app = web.Application()
    app.router.add_get("/api/x", elsewhere)
    answer = await fetch(await gateway(await serve(app)), "GET", "/api/x")
    assert (answer.status, answer.header("Location")) == (302, "http://192.0.2.1/secret")


class Stream:
    """An event stream that goes on until the test or its reader ends it."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(handler_args={"handler_cancellation": True})
        app.router.add_get("/api/events", self._handler)
        return app

    async def _handler(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while event := await self.events.get():
                await response.write(event)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return response


async def test_events_are_not_held_back(gateway: Gateway, serve: Serve) -> None:
    stream = Stream()
    url = await gateway(await serve(stream.app()))
    async with await Connection.open(url) as connection:
        await connection.request("GET", "/api/events")
        head = await connection.head()
        assert head.header("Content-Type") == "text/event-stream"
        parts = connection.parts(head)
        for number in range(3):  # each is read before the next is sent
            stream.events.put_nowait(b"data: %d\n\n" % number)
            async with asyncio.timeout(30):
                assert await anext(parts) == b"data: %d\n\n" % number
        stream.events.put_nowait(b"")
        with pytest.raises(StopAsyncIteration):
            await anext(parts)


async def test_a_client_that_leaves_is_left_upstream_at_once(gateway: Gateway, serve: Serve) -> None:
    stream = Stream()
    url = await gateway(await serve(stream.app()))
    async with await Connection.open(url) as connection:
        await connection.request("GET", "/api/events")
        await connection.head()
    async with asyncio.timeout(30):
        await stream.left.wait()


async def test_a_stop_ends_open_streams(serve: Serve) -> None:
    stream = Stream()
    settings = load(DashboardSettings, {"WEIR_BACKEND_URL": await serve(stream.app())})
    runner = web.AppRunner(create_app(settings), shutdown_timeout=30)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with await Connection.open(url) as connection:
        await connection.request("GET", "/api/events")
        await connection.head()
        async with asyncio.timeout(30):
            await runner.cleanup()
            await connection.ended()


async def test_a_broken_answer_does_not_pass_for_a_whole_one(
    gateway: Gateway, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"items":[')
        assert request.transport
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/api/x", broken)
    url = await gateway(await serve(app))
    with pytest.raises(IncompleteAnswerError):
        await fetch(url, "GET", "/api/x")
    assert "an answer broke off" in caplog.messages


async def test_an_absent_backend_is_named_with_the_fix(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    url = await gateway("http://weir:hidden@127.0.0.1:1")
    answers = [await fetch(url, "GET", "/api/status") for _ in range(3)]
    answer = answers[-1]
    assert answer.status == 502
    assert answer.header("Content-Type") == "application/json"
    body = answer.json()
    assert body["error"] == "Backend server not available"
    assert body["backend_url"] == "http://weir:********@127.0.0.1:1"
    assert "weir metrics-api" in body["hint"]
    assert "--backend-url" in body["hint"]
    assert caplog.messages.count("backend is away") == 1, "said once, not per request"


async def test_an_absent_backend_is_a_page_where_a_browser_goes(gateway: Gateway) -> None:
    url = await gateway("http://127.0.0.1:1/%3Cscript%3E<script>")
    page = await fetch(url, "GET", "/api/status", HTML)
    assert (page.status, page.header("Content-Type")) == (502, "text/html; charset=utf-8")
    assert b"<code>http://127.0.0.1:1/%3Cscript%3E&lt;script&gt;</code>" in page.body
    assert b"Backend server not available" in page.body
    fetched = await fetch(url, "GET", "/api/status", [*HTML, ("Sec-Fetch-Mode", "cors")])
    assert fetched.json()["error"] == "Backend server not available"


async def test_a_silent_backend_is_given_up(
    gateway: Gateway, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weir.dashboard.backend.ANSWER_SECONDS", 0.05)
    never = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_get("/api/x", silent)
    answer = await fetch(await gateway(await serve(app)), "GET", "/api/x")
    assert answer.status == 504
    assert answer.json()["error"] == "Backend server not available"


async def test_a_stalled_answer_is_cut(
    gateway: Gateway, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weir.dashboard.backend.IDLE_SECONDS", 0.05)
    never = asyncio.Event()

    async def stalling(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"12345")
        await never.wait()
        return response

    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_get("/api/x", stalling)
    with pytest.raises(IncompleteAnswerError):
        await fetch(await gateway(await serve(app)), "GET", "/api/x")


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(gateway: Gateway, serve: Serve, *, announced: bool) -> None:
    url = await gateway(await serve(echo()), WEIR_DASHBOARD_MAX_BODY="1kB")
    if announced:
        answer = await fetch(url, "POST", "/api/x", body=b"x" * 1001)
    else:
        async with await Connection.open(url) as connection:
            head = f"POST /api/x HTTP/1.1\r\nHost: {connection.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
            await connection.send(head.encode() + (b"258\r\n" + b"x" * 600 + b"\r\n") * 2 + b"0\r\n\r\n")
            answer = await connection.answer()
    assert answer.status == 413
    assert answer.json()["code"] == "body_too_large"


@pytest.mark.parametrize(
    ("path", "relayed"),
    [
        ("/api", True),
        ("/api/", True),
        ("/api/requests/0198", True),
        ("/graphql", True),
        ("/apis", False),
        ("/API/x", False),
        ("/graphql/", False),
        ("/graphqlx", False),
        ("/metrics", False),
        ("/healthz", False),
        ("//api/x", False),
        ("/x/../api", False),
        ("/%61pi/x", False),
    ],
)
def test_only_the_api_is_relayed(path: str, *, relayed: bool) -> None:
    assert is_relayed(path) is relayed


@pytest.mark.parametrize(
    "path",
    [
        "/api/../metrics",
        "/api/..",
        "/api/./x",
        "/api/%2e%2e/metrics",
        "/api/.%2E/metrics",
        "/api//metrics",
        "/api/x%2f..%2fmetrics",
        "/api/%5c..%5cmetrics",
        "/api/\\..\\metrics",
        "/api/x%00",
    ],
)
def test_an_ambiguous_path_is_refused(path: str) -> None:
    with pytest.raises(ProblemError) as refusal:
        is_relayed(path)
    assert refusal.value.code == "invalid_path"


async def test_ambiguous_paths_never_reach_the_backend(gateway: Gateway, serve: Serve) -> None:
    seen: list[str] = []

    async def record(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    url = await gateway(await serve(app))
    for path in ("/api/../metrics", "/api/%2e%2e/metrics", "/api//x", "/metrics", "/readyz"):
        await fetch(url, "GET", path)
    assert seen == ["/healthz"], "only the gateway's own question"


async def test_health(gateway: Gateway, serve: Serve) -> None:
    app = web.Application()

    async def ok(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app.router.add_get("/healthz", ok)
    url = await gateway(await serve(app))
    assert (await fetch(url, "GET", "/healthz")).json() == {"status": "ok"}
    ready = await fetch(url, "GET", "/readyz")
    assert (ready.status, ready.json()["status"]) == (200, "ok")
    away = await fetch(await gateway(), "GET", "/readyz")
    assert (away.status, away.json()["status"]) == (200, "degraded")


async def test_every_answer_carries_the_security_headers(gateway: Gateway, serve: Serve) -> None:
    url = await gateway(await serve(echo()))
    for path in ("/", "/requests", "/assets/index-BxQ2.js", "/assets/none", "/api/x", "/api/..", "/healthz"):
        answer = await fetch(url, "GET", path)
        policy = answer.header("Content-Security-Policy") or ""
        assert "default-src 'self'" in policy, path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Referrer-Policy") == "same-origin"
        assert answer.header("Server") is None


async def test_a_malformed_message_is_neither_echoed_nor_logged(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with await Connection.open(await gateway()) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer sk-secret\r\n\r\n")
        answer = await connection.ended()
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert b"secret" not in answer
    assert b"aiohttp" not in answer
    assert "secret" not in json.dumps([str(vars(record)) for record in caplog.records])

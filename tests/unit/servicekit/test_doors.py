"""What every internal HTTP door does: problem documents, health, and no word about what is not HTTP."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from tests.support.raw_http import Connection, IncompleteAnswerError, fetch

from weir.servicekit import health
from weir.servicekit.errors import ProblemError, problems
from weir.servicekit.health import Check, healthz, readyz
from weir.servicekit.malformed import GuardedRunner
from weir.servicekit.run import start_site
from weir.servicekit.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    Checks = Mapping[str, Callable[[], Awaitable[Check]]]


@asynccontextmanager
async def served(app: web.Application) -> AsyncGenerator[str]:
    runner = GuardedRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        yield (await start_site(runner, ListenAddress("127.0.0.1", 0), "TEST")).url
    finally:
        await runner.cleanup()


def app_with(path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    app = web.Application(middlewares=[problems])
    app.router.add_get(path, handler)
    return app


async def test_a_problem_is_a_document_with_a_code() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid_range", "range=1y is too long; at most 90d")

    async with served(app_with("/x", refuse)) as url:
        answer = await fetch(url, "GET", "/x")
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "invalid_range",
        "detail": "range=1y is too long; at most 90d",
    }


async def test_unknown_paths_and_methods_are_problems_too() -> None:
    async with served(app_with("/x", healthz)) as url:
        missing = await fetch(url, "GET", "/y")
        refused = await fetch(url, "DELETE", "/x")
    assert (missing.status, missing.json()["code"]) == (404, "not_found")
    assert (refused.status, refused.json()["code"]) == (405, "method_not_allowed")
    assert refused.header("Allow") == "GET,HEAD"


async def test_what_was_not_foreseen_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_request: web.Request) -> web.Response:
        raise ValueError("the secret")

    async with served(app_with("/x", broken)) as url:
        answer = await fetch(url, "GET", "/x")
    assert (answer.status, answer.json()["code"]) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert caplog.messages == ["unforeseen error"]


async def test_an_answer_that_has_begun_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    async def halfway(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ValueError("odd")

    async with served(app_with("/x", halfway)) as url:
        with pytest.raises(IncompleteAnswerError) as broken:
            await fetch(url, "GET", "/x")
    assert b"HTTP/1.1" not in broken.value.body
    assert caplog.messages == ["unforeseen error"]


async def test_a_client_that_leaves_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with served(app_with("/x", endless)) as url:
        connection = await Connection.open(url)
        await connection.request("GET", "/x")
        await connection.head()
        connection.reset()
        async with asyncio.timeout(30):
            await ended.wait()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("checks", "status", "word"),
    [
        ({"redis": Check(ok=True)}, 200, "ok"),
        ({"redis": Check(ok=False, detail="refused", essential=False)}, 200, "degraded"),
        ({"redis": Check(ok=False, essential=False), "database": Check(ok=False)}, 503, "unavailable"),
    ],
)
async def test_readiness(checks: dict[str, Check], status: int, word: str) -> None:
    def ask(check: Check) -> Callable[[], Awaitable[Check]]:
        async def answer() -> Check:
            return check

        return answer

    app = app_with("/readyz", readyz({name: ask(check) for name, check in checks.items()}))
    async with served(app) as url:
        answer = await fetch(url, "GET", "/readyz")
    assert (answer.status, answer.json()["status"]) == (status, word)
    assert answer.json()["checks"] == {
        name: {"ok": check.ok, "detail": check.detail} for name, check in checks.items()
    }


async def test_a_check_that_hangs_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.01)

    async def hang() -> Check:
        await asyncio.Event().wait()
        return Check(ok=True)

    async with served(app_with("/readyz", readyz({"redis": hang}))) as url:
        answer = await fetch(url, "GET", "/readyz")
    assert answer.status == 503
    assert answer.json()["checks"]["redis"] == {"ok": False, "detail": "no answer within 0.01 s"}


async def test_nothing_malformed_is_echoed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with served(app_with("/x", healthz)) as url, await Connection.open(url) as connection:
        await connection.send(b"GET /x HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer sk-secret\r\n\r\n")
        answer = await connection.ended()
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"secret" not in answer
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "head",
    [
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: sk-secret, chunked",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
        b"POST /x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
        b"GET /x HTTP/2.0\r\nHost: x",
        b"GET /x HTTP/0.9\r\nHost: x",
        b"GET http://sk-secret/x HTTP/1.1\r\nHost: x",
        b"GET /x HTTP/1.1\r\nHost: x\r\nHost: y",
        b"GET /x HTTP/1.1\r\nHost: x\r\nX: a\x01sk-secret",
    ],
)
async def test_what_others_would_read_in_another_way_is_refused(
    head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    app = web.Application(middlewares=[problems])
    app.router.add_route("*", "/x", healthz)
    async with served(app) as url, await Connection.open(url) as connection:
        smuggled = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
        body = b"0\r\n\r\n" if b"Transfer" in head else b""
        await connection.send(head + b"\r\n\r\n" + body + smuggled)
        answer = await connection.ended()
    assert re.match(rb"HTTP/1\.[01] (?:400|505) ", answer)
    assert answer.count(b"HTTP/1.") == 1, "what follows is not taken for a request"
    assert b"secret" not in answer
    assert "secret" not in caplog.text


async def test_a_chunked_body_is_none_of_that() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/x", echo)
    async with served(app) as url, await Connection.open(url) as connection:
        await connection.send(
            b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
            b"2\r\nhi\r\n0\r\n\r\n"
        )
        assert (await connection.ended()).endswith(b"\r\n\r\nhi")

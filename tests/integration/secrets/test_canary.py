"""Secrets and prompts go in at every place of a request; then all that Weir keeps or says is searched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import pytest
from graphql import GraphQLNamedType, GraphQLObjectType, GraphQLSchema, build_schema, get_named_type
from redis import Redis
from tests.support.canary import Mark, files
from tests.support.fake_llm import FakeLLM, script
from tests.support.fake_llm.exchange import JSON_HEADERS
from tests.support.metrics_api import MetricsApi
from tests.support.processes import children, command_line, start
from tests.support.proxy import CHAT, start_proxy
from tests.support.raw_http import Connection, IncompleteAnswerError, fetch, post_json
from tests.support.redis_server import RedisServer, free_port

from weir.events.stream import ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.fake_llm.exchange import Exchange
    from tests.support.fake_llm.manners import Manner
    from tests.support.postgres_server import PostgresServer
    from tests.support.processes import Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the worker through /proc")

SECRET: Final = Mark.new()
"""In whatever must not be found."""
KNOWN: Final = Mark.new()
"""In the name of a user, which must be found wherever records go: the search reaches those places."""
CLIENT_KEY: Final = SECRET.canary("client-key")
UPSTREAM_KEY: Final = SECRET.canary("upstream-key")
REDIS_PASSWORD: Final = SECRET.canary("redis-password")
DATABASE_PASSWORD: Final = SECRET.canary("database-password")
PROMPT: Final = SECRET.canary("prompt")
COMPLETION: Final = SECRET.canary("completion")
WHO: Final = KNOWN.canary("user")

QUERY: Final = f"?api_key={quote(SECRET.canary('query'), safe='')}&token={SECRET.canary('raw-query')}"
HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("Cookie", f"session={SECRET.canary('cookie')}; other=1"),
    ("Proxy-Authorization", f"Basic {SECRET.canary('proxy-authorization')}"),
    ("X-Authorization", SECRET.canary("x-authorization")),
    ("Api-Key", SECRET.canary("api-key")),
    ("Referer", f"https://chat.example/{SECRET.canary('referer')}"),
    ("X-Anything", SECRET.canary("header")),
    ("x-weir-user", WHO),
)
KEY: Final = ("Authorization", f"Bearer {CLIENT_KEY}")
BODY: Final = {
    "messages": [
        {"role": "system", "content": f"Be {PROMPT}"},
        {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": PROMPT}}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": PROMPT}}],
    "stop": [PROMPT],
    "unknown": {PROMPT: PROMPT},
}


async def answers(exchange: Exchange) -> None:
    """The upstream says what nobody else shall hear of."""
    if not exchange.stream:
        body = exchange.reply.plain.replace(b"Hello", COMPLETION.encode())
        await exchange.respond_plain([("Set-Cookie", f"a={SECRET.canary('set-cookie')}")], body)
        return
    await exchange.stream_head()
    for event in exchange.reply.events:
        await exchange.chunk(event.replace(b"Hello", COMPLETION.encode()))
    await exchange.chunk(exchange.reply.end)
    await exchange.chunk(b"")


async def repeats_the_key(exchange: Exchange) -> None:
    key = exchange.received.header("authorization") or ""
    said = f"Incorrect API key provided: {key.removeprefix('Bearer ')}. You can find yours elsewhere."
    await exchange.respond("401 Unauthorized", JSON_HEADERS, script.error(said, "invalid_request_error"))


async def repeats_the_prompt(exchange: Exchange) -> None:
    """As servers do that explain what did not pass their validation."""
    said = f"1 validation error: 'loc': ('body', 'messages', 0), 'input': 'Be {PROMPT}', 'type': 'missing'"
    await exchange.respond("400 Bad Request", JSON_HEADERS, script.error(said, "BadRequestError"))


async def repeats_everything_as_html(exchange: Exchange) -> None:
    body = b"<h1>Internal Server Error</h1>" + exchange.received.head + exchange.received.body
    await exchange.respond("500 Internal Server Error", [("Content-Type", "text/html")], body)


async def speaks_nonsense(exchange: Exchange) -> None:
    await exchange.write(f"HTTP/1.1 {COMPLETION}\r\n{COMPLETION} x\r\n\r\n".encode())


async def breaks_off(exchange: Exchange) -> None:
    await exchange.stream_head()
    for event in exchange.reply.events[:3]:
        await exchange.chunk(event.replace(b"Hello", COMPLETION.encode()))
    exchange.reset()


async def fails_in_the_stream(exchange: Exchange) -> None:
    await exchange.stream_head()
    said = {"error": {"message": f"cannot continue '{COMPLETION}' after 'Be {PROMPT}'", "type": "x"}}
    await exchange.chunk(exchange.reply.events[1].replace(b"Hello", COMPLETION.encode()))
    await exchange.chunk(b"data: " + json.dumps(said).encode() + b"\n\n")
    await exchange.chunk(b"")


MANNERS: Final[dict[str, Manner]] = {
    "good": answers,
    "wrong-key": repeats_the_key,
    "bad-prompt": repeats_the_prompt,
    "fails": repeats_everything_as_html,
    "nonsense": speaks_nonsense,
    "breaks-off": breaks_off,
    "fails-late": fails_in_the_stream,
}
_LINE: Final = f"POST {CHAT}{QUERY} HTTP/1.1\r\n".encode()
_HEADERS: Final = "".join(f"{name}: {value}\r\n" for name, value in (KEY, *HEADERS)).encode()
MALFORMED: Final = (
    _LINE + b"Host: x\r\n" + _HEADERS + f"Broken {SECRET.canary('line')}\r\n\r\n".encode(),
    _LINE + b"Host: x\r\n" + _HEADERS + b"X-Bad: \x01" + SECRET.canary("value").encode() + b"\r\n\r\n",
    _LINE + _HEADERS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    _LINE + b"Host: x\r\n" + _HEADERS + f"Content-Length: {SECRET.canary('length')}\r\n\r\n".encode(),
    _LINE + f"Host: {SECRET.canary('host')}\r\n".encode() + _HEADERS + b"\r\n",
    _LINE
    + b"Host: x\r\n"
    + _HEADERS
    + f"Transfer-Encoding: chunked\r\n\r\n{SECRET.canary('chunk')}\r\n".encode(),
    f"GET /{SECRET.canary('path')}{QUERY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(),
    f"{SECRET.canary('method')} / HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    f"GET / HTTP/{SECRET.canary('version')}\r\nHost: x\r\n\r\n".encode(),
    f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n"
    f"Authorization: Bearer {SECRET.canary('stranger')}\r\n\r\n{{}}".encode(),
)
BROKEN_LATE: Final = 1
"""Of them, those that were accepted before they broke: they have a row."""


class Weir:
    """All three services at one log level, with a Redis and a database that have passwords."""

    def __init__(self, folder: Path, fake: FakeLLM, database: str, level: str) -> None:
        self.folder = folder
        self.redis = RedisServer(
            folder / "redis", ["--requirepass", REDIS_PASSWORD, "--rdbcompression", "no"]
        )
        self.redis_url = f"redis://:{quote(REDIS_PASSWORD, safe='')}@127.0.0.1:{self.redis.port}/0"
        self.said: list[str] = []
        """What ended processes have logged."""
        self._level = {"WEIR_LOG_LEVEL": level, "WEIR_LOG_FORMAT": "json"}
        config = folder / "weir.yaml"
        upstream = {"name": "main", "url": fake.url, "api_key_env": "MAIN_KEY"}
        # what comes without a key of its own passes the client's on
        other = {"name": "open", "url": fake.url, "models": ["wrong-key"]}
        client = {"name": "ci", "sha256": hashlib.sha256(CLIENT_KEY.encode()).hexdigest()}
        config.write_text(json.dumps({"upstreams": [upstream, other], "clients": [client]}))
        self._proxy_settings = {**self._level, "WEIR_CONFIG": str(config), "MAIN_KEY": UPSTREAM_KEY}
        self.api = MetricsApi(
            self.redis_url,
            folder / "api",
            {
                **self._level,
                "WEIR_DATABASE_URL": database,
                # the dashboard finds it again after a restart
                "WEIR_API_LISTEN": f"127.0.0.1:{free_port()}",
            },
        )
        self.proxy: Process
        self.dashboard: Process

    def start(self) -> None:
        (self.folder / "pages").mkdir()
        (self.folder / "pages" / "index.html").write_text("<title>Weir</title>")
        self.redis.start()
        self.api.start()
        self.proxy = start_proxy(self.redis_url, self.folder / "proxy", self._proxy_settings)
        settings = {
            **self._level,
            "WEIR_DASHBOARD_LISTEN": "127.0.0.1:0",
            "WEIR_SPA_DIR": str(self.folder / "pages"),
            "WEIR_BACKEND_URL": self.api.url,
        }
        self.dashboard = start(["python", "-m", "weir.dashboard"], settings, cwd=self.folder)

    def stop(self) -> None:
        """End all that was started, and see that each ends well."""
        started = [
            process
            for holder, name in ((self, "dashboard"), (self, "proxy"), (self.api, "process"))
            if (process := getattr(holder, name, None)) is not None
        ]
        codes = [process.stop() for process in started]
        self.api.close()
        self.redis.stop()
        assert codes == [0] * len(codes), [process.stderr for process in started]

    def crash_a_worker(self) -> None:
        (worker,) = [pid for pid in children(self.proxy.pid) if "weir.proxy.worker" in command_line(pid)]
        os.kill(worker, signal.SIGKILL)

    def logs(self) -> dict[str, str]:
        return {
            "proxy": self.proxy.stderr,
            "metrics API": "\n".join([*self.said, self.api.process.stderr]),
            "dashboard": self.dashboard.stderr,
        }


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as fake:
        for model, manner in MANNERS.items():
            fake.on(model, manner)
        yield fake


async def completion(weir: Weir, model: str, *, stream: bool = False) -> str:
    """The id of a request whose answer is read to its end, whatever it is."""
    body = json.dumps({**BODY, "model": model, "stream": stream}).encode()
    async with await Connection.open(weir.proxy.url) as connection:
        await connection.request("POST", CHAT + QUERY, [KEY, *HEADERS], body)
        head = await connection.head()
        try:
            async for _ in connection.parts(head):
                pass
        except IncompleteAnswerError:
            pass  # as the upstream's did
        request_id = head.header("x-weir-request-id")
        assert request_id is not None, head
        return request_id


async def in_flight(weir: Weir, fake: FakeLLM) -> Connection:
    """A request that the upstream has got and does not answer."""
    connection = await Connection.open(weir.proxy.url)
    body = json.dumps({**BODY, "model": "answer:silent"}).encode()
    await connection.request("POST", CHAT + QUERY, [KEY, *HEADERS], body)
    await fake.request("answer:silent", deadline=30)
    return connection


async def everything_is_asked(weir: Weir, fake: FakeLLM) -> set[str]:
    """Requests of every fate; the ids of those that are answered."""
    ids = {await completion(weir, model, stream=stream) for model in MANNERS for stream in (False, True)}
    cut = f'{{"model": "good", "messages": ["{PROMPT}'.encode()
    broken = await fetch(weir.proxy.url, "POST", CHAT + QUERY, [KEY, *HEADERS], cut)
    ids.add(broken.request_id)
    for message in MALFORMED:
        async with await Connection.open(weir.proxy.url) as connection:
            await connection.send(message)
            said = await connection.ended(deadline=30)
        assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 50")), (message, said)
        assert SECRET.found_in(said) is None, message
    for service in (weir.dashboard, weir.api.process):
        for message in (*MALFORMED, MALFORMED[-1].replace(CHAT.encode(), b"/graphql")):
            async with await Connection.open(service.url) as connection:
                await connection.send(message.replace(CHAT.encode(), b"/api/requests"))
                connection.half_close()
                await connection.ended(deadline=30)
        answer = await fetch(service.url, "GET", f"/api/requests{QUERY}", [KEY, *HEADERS])
        assert answer.status in {200, 400, 502}
    return ids


async def places(weir: Weir, live: bytes) -> AsyncIterator[tuple[str, bytes]]:
    """Everything that is kept or said anywhere, by its name."""
    yield "live events", live
    for name, text in weir.logs().items():
        yield f"log of the {name}", text.encode()
    for name, url in (("proxy", weir.proxy.announced["admin_url"]), ("metrics API", weir.api.url)):
        for path in ("/metrics", "/readyz", "/healthz"):
            yield f"{path} of the {name}", (await fetch(url, "GET", path)).body
    yield "/readyz of the dashboard", (await fetch(weir.dashboard.url, "GET", "/readyz")).body
    description = (await fetch(weir.api.url, "GET", "/api/openapi.json")).json()
    for path, methods in description["paths"].items():
        if "get" in methods and "{" not in path and path != "/api/events":
            required = "&".join(
                f"{each['name']}=requests"
                for each in methods["get"].get("parameters", ())
                if each.get("required")
            )
            yield f"GET {path}", await whole(weir, f"{path}?{required}")
    for row in weir.api.all_requests():
        path = f"/api/requests/{row['request_id']}"
        yield f"GET {path}", await whole(weir, path)
    yield "GraphQL", await graphql(weir)
    for name, data in redis_keys(weir):
        yield f"Redis, {name}", data
    for name, data in files(weir.folder):
        yield f"file {name}", data


async def whole(weir: Weir, target: str) -> bytes:
    """What the dashboard answers to a question that it can answer."""
    answer = await fetch(weir.dashboard.url, "GET", target)
    assert answer.status == 200, (target, answer.body)
    return answer.body


async def graphql(weir: Weir) -> bytes:
    """All that GraphQL tells of all requests."""
    described = await whole(weir, "/api/schema.graphql")
    fields = _leaves(build_schema(described.decode()), "Request")
    assert "error_message" in fields
    asked = {"query": f"{{ requests(limit: 100) {{ items {{ {fields} }} }} }}"}
    answer = await post_json(weir.dashboard.url, "/graphql", asked)
    assert "errors" not in answer.json(), answer.body
    return answer.body


def _leaves(schema: GraphQLSchema, name: str) -> str:
    """All fields of a type, those of its parts included."""
    kind = schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    parts: list[str] = []
    for field_name, field in kind.fields.items():
        inner = cast("GraphQLNamedType", get_named_type(field.type))
        within = f" {{ {_leaves(schema, inner.name)} }}" if isinstance(inner, GraphQLObjectType) else ""
        parts.append(field_name + within)
    return " ".join(parts)


def redis_keys(weir: Weir) -> Iterator[tuple[str, bytes]]:
    """Each key with all of its value. Values are not compressed there."""
    with Redis.from_url(weir.redis_url) as redis:
        for key in cast("list[bytes]", redis.keys()):
            dumped = redis.dump(key)
            yield repr(key), key + b" " + (dumped or b"")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> tuple[str, Path | None]:
    """A new database: its URL, and where its server keeps it."""
    if request.param == "sqlite":
        return "", None
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("weir@", f"weir:{quote(DATABASE_PASSWORD, safe='')}@"), server.directory


async def test_no_secret_and_no_prompt_is_kept_said_or_answered(
    database: tuple[str, Path | None], tmp_path: Path, fake: FakeLLM
) -> None:
    url, folder = database
    weir = Weir(tmp_path, fake, url, level="debug" if folder is None else "info")
    try:
        await asyncio.to_thread(weir.start)
        with weir.api.listen(topics="requests,metrics") as listening:
            ids = await everything_is_asked(weir, fake)
            waiting = await in_flight(weir, fake)
            weir.crash_a_worker()
            await waiting.ended(deadline=30)
            await waiting.close()
            count = len(ids) + BROKEN_LATE + 1
            await asyncio.to_thread(weir.api.wait_for, count)
            heard = await asyncio.to_thread(listening.requests, count)
            assert ids < set(heard)
        weir.api.process.kill9()
        weir.said.append(weir.api.process.stderr)
        await asyncio.to_thread(weir.api.start)
        rows = {row["request_id"]: row for row in weir.api.all_requests()}
        outcomes = {row["outcome"] for row in rows.values()}
        assert outcomes >= {"completed", "client_error", "upstream_error", "truncated", "internal_error"}
        await search(weir, "\n".join(listening.lines).encode(), folder)
    finally:
        await asyncio.to_thread(weir.stop)
    check_upstream(fake)


async def search(weir: Weir, live: bytes, database: Path | None) -> None:
    """Nothing secret anywhere; the user's name wherever records go."""
    leaks: dict[str, str] = {}
    reached: list[str] = []
    found = [place async for place in places(weir, live)]
    if database is not None:
        found += [(f"PostgreSQL {name}", data) for name, data in files(database)]
    for name, data in found:
        if (place := SECRET.found_in(data)) is not None:
            leaks[name] = place
        if KNOWN.found_in(data) is not None:
            reached.append(name)
    assert leaks == {}, "\n".join(f"{name}: {place}" for name, place in leaks.items())
    for place in (
        "live events",
        "GET /api/requests",
        "GraphQL",
        "Redis, b'weir:",
        "file redis/",
        "file proxy/",
    ):
        assert any(name.startswith(place) for name in reached), (place, reached)
    stored = "file api/weir.db" if database is None else "PostgreSQL data/"
    assert any(name.startswith(stored) for name in reached), reached
    for name, text in weir.logs().items():
        assert '"event": "listening"' in text, f"the log of the {name} is there: {text}"
    assert any(ACCOUNTS in name for name, _ in found)


def check_upstream(fake: FakeLLM) -> None:
    """Prompts went where they belong, keys only there, and cookies nowhere."""
    assert all(PROMPT.encode() in request.body for request in fake.received)
    heads = b"".join(request.head for request in fake.received)
    assert UPSTREAM_KEY.encode() in heads
    for name in ("cookie", "proxy-authorization"):
        assert SECRET.canary(name).encode() not in heads, name


def test_the_search_would_find_them(tmp_path: Path) -> None:
    """The same search over a folder in which one secret was left."""
    (tmp_path / "weir.db-wal").write_bytes(b"\0" * 100 + CLIENT_KEY.encode() + b"\0" * 100)
    assert [SECRET.found_in(data) for _, data in files(tmp_path)] != [None]
    assert SECRET.found_in(KNOWN.canary("user").encode()) is None

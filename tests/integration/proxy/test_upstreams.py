"""Several upstreams: which one gets a request, under what name and with what key, and what is listed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio
from tests.support.fake_llm import FakeLLM
from tests.support.fake_llm.dead_ends import refusing
from tests.support.families import CASES, form
from tests.support.proxy import CHAT, MODELS, ask, completion, start_proxy
from tests.support.raw_http import Connection, fetch, post_json
from tests.support.records import marker
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.fake_llm import Exchange, Received
    from tests.support.processes import Process
    from tests.support.records import Records
    from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS: Final = {"VLLM_KEY": "sk-vllm-own", "ANTHROPIC_KEY": "sk-ant-own"}
CLIENT_KEYS: Final = [
    ("Authorization", "Bearer sk-client"),
    ("x-api-key", "sk-client"),
    ("api-key", "sk-client"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other() -> AsyncIterator[FakeLLM]:
    """A second machine."""
    async with FakeLLM() as other:
        yield other


def write(path: Path, upstreams: list[dict[str, Any]], **more: Any) -> None:
    path.write_text(json.dumps({"upstreams": upstreams, **more}))


def upstreams(fake: FakeLLM, other: FakeLLM) -> list[dict[str, Any]]:
    return [
        {
            "name": "gpu",
            "url": f"{fake.url}/v1",
            "provider": "vllm",
            "models": ["shared", "answer", "answer:*", "gpu-*"],
            "rename": {"public": "answer", "größe": "answer"},
            "weight": 3,
            "api_key_env": "VLLM_KEY",
            "headers": {"x-team": "search", "User-Agent": "ours"},
            "timeouts": {"first_byte": "300ms", "idle": "300ms"},
        },
        {
            "name": "canary",
            "url": other.url,
            "variant": "canary",
            "models": ["shared", "short", "public-canary"],
            "rename": {"public-canary": "tools"},
        },
        {
            "name": "claude",
            "url": other.url,
            "provider": "anthropic",
            "models": ["claude-*"],
            "api_key_env": "ANTHROPIC_KEY",
        },
        {
            "name": "llama",
            "url": other.url,
            "provider": "ollama",
            "models": ["llama*", "short"],
            "rename": {"llama-public": "length"},
        },
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "weir.yaml"


@pytest.fixture(scope="module")
def proxy_settings(config: Path, fake: FakeLLM, other: FakeLLM) -> dict[str, str]:
    write(config, upstreams(fake, other))
    return {"WEIR_CONFIG": str(config), **KEYS}


async def received(fake: FakeLLM, other: FakeLLM, mark: str) -> tuple[str, Received]:
    """Which machine got the request, and the request."""
    found = [("fake", request) for request in fake.requests(mark)]
    found += [("other", request) for request in other.requests(mark)]
    assert len(found) == 1, found
    return found[0]


async def test_weights_and_variants(proxy: Process, records: Records) -> None:
    marks = [marker() for _ in range(200)]
    for mark in marks:
        await ask(proxy.url, "shared", mark)
    counts = Counter((one.upstream, one.variant) for one in await records.of_all(marks))
    assert set(counts) == {("gpu", "production"), ("canary", "canary")}
    assert 120 <= counts["gpu", "production"] <= 175, "three of four, give or take four standard deviations"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            b'{"model":"public","messages":[{"role":"user","content":"\\"model\\":\\"public\\""}]}',
            b'{"model":"answer","messages":[{"role":"user","content":"\\"model\\":\\"public\\""}]}',
        ),
        (
            b' {"metadata": {"model": "public"},\r\n "seed": 1.0e+2, "model" : "public" }\n',
            b' {"metadata": {"model": "public"},\r\n "seed": 1.0e+2, "model" : "answer" }\n',
        ),
        (b'{"model":"gr\\u00f6\\u00dfe","x":[]}', b'{"model":"answer","x":[]}'),
        (b'{"\\u006dodel":"public","x":[1.50]}', b'{"model":"answer","x":[1.50]}'),
        (b'{"model":"answer","x":"public"}', b'{"model":"answer","x":"public"}'),
    ],
    ids=["decoy", "nested", "escaped-value", "escaped-key", "other-name"],
)
async def test_a_renamed_model_and_nothing_else(
    fake: FakeLLM, proxy: Process, records: Records, body: bytes, sent: bytes
) -> None:
    mark = marker()
    headers = [("Content-Type", "application/json"), ("x-request-id", mark)]
    answer = await fetch(proxy.url, "POST", CHAT, headers, body)
    assert answer.status == 200, answer.body
    request = await fake.request(mark)
    assert request.body == sent
    assert request.header("content-length") == str(len(sent))
    record = await records.of(mark)
    assert (record.model_requested, record.model) == (
        json.loads(body).get("model"),
        "answer-2026-01-01",
    )


async def test_a_model_renamed_in_a_form(fake: FakeLLM, proxy: Process, records: Records) -> None:
    mark, audio = marker(), b'RIFF name="model"\r\n\r\npublic\r\n\xff'
    (case,) = [case for case in CASES if case.name == "audio.translations"]
    kind, _ = case.request()
    headers = [("Content-Type", kind), ("x-request-id", mark)]
    sent = form({"model": "public", "prompt": "public"}, audio)
    answer = await fetch(proxy.url, "POST", case.path, headers, sent)
    assert answer.status == 200
    assert (await fake.request(mark)).body == form({"model": "answer", "prompt": "public"}, audio)
    assert (await records.of(mark)).model_requested == "public"


async def test_a_model_renamed_where_ollama_names_it(other: FakeLLM, proxy: Process) -> None:
    mark = marker()
    await post_json(proxy.url, "/api/show", {"name": "llama-public"}, [("x-request-id", mark)])
    assert (await other.request(mark)).json() == {"name": "length"}


async def test_a_model_renamed_in_a_path(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    answer = await fetch(proxy.url, "GET", "/v1/models/public", [("x-request-id", mark)])
    assert answer.status == 200, answer.body
    assert (await fake.request(mark)).target == "/v1/models/answer"


async def test_each_upstream_gets_its_own_key_and_never_the_clients(
    fake: FakeLLM, other: FakeLLM, proxy: Process
) -> None:
    mark = marker()
    await ask(proxy.url, "answer", mark, headers=[*CLIENT_KEYS, ("x-team", "mine"), ("User-Agent", "curl/8")])
    request = await fake.request(mark)
    assert request.header("authorization") == "Bearer sk-vllm-own"
    assert (request.header("x-team"), request.header("user-agent")) == ("search", "ours")
    assert b"sk-client" not in request.head

    mark = marker()
    body: dict[str, Any] = {"model": "claude-4", "messages": [], "max_tokens": 9}
    headers = [*CLIENT_KEYS, ("x-request-id", mark), ("anthropic-version", "2023-06-01")]
    assert (await post_json(proxy.url, "/v1/messages", body, headers)).status == 200
    request = await other.request(mark)
    assert request.header("x-api-key") == "sk-ant-own"
    assert request.header("anthropic-version") == "2023-06-01"
    assert request.header("authorization") is None
    assert b"sk-client" not in request.head


async def test_an_upstream_without_a_key_gets_the_clients(other: FakeLLM, proxy: Process) -> None:
    mark = marker()
    await ask(proxy.url, "short", mark, headers=CLIENT_KEYS[:1])
    assert (await other.request(mark)).header("authorization") == "Bearer sk-client"


async def test_where_clients_have_keys_of_ours_no_upstream_gets_them(
    other: FakeLLM, redis_server: RedisServer, tmp_path: Path
) -> None:
    key = "weir-client-key"
    config = tmp_path / "weir.yaml"
    digest = hashlib.sha256(key.encode()).hexdigest()
    write(config, [{"name": "plain", "url": other.url}], clients=[{"name": "ci", "sha256": digest}])
    proxy = start_proxy(redis_server.url, tmp_path / "proxy", {"WEIR_CONFIG": str(config)})
    try:
        for name, value in (("Authorization", f"Bearer {key}"), ("x-api-key", key)):
            mark = marker()
            body: dict[str, Any] = {"model": "answer", "messages": [], "max_tokens": 9}
            headers = [(name, value), ("x-request-id", mark)]
            assert (await post_json(proxy.url, "/v1/messages", body, headers)).status == 200
            assert key.encode() not in (await other.request(mark)).head
        refused = await post_json(proxy.url, "/v1/messages", {"model": "answer"}, [("x-api-key", "wrong")])
        assert (refused.status, refused.json()["error"]["type"]) == (401, "authentication_error")
        refused = await post_json(proxy.url, "/api/chat", {"model": "answer"})
        assert (refused.status, list(refused.json())) == (401, ["error"])
    finally:
        assert await asyncio.to_thread(proxy.stop) == 0


async def test_an_upstreams_own_time_limits(proxy: Process, records: Records) -> None:
    mark = marker()
    assert (await ask(proxy.url, "answer:silent", mark)).status == 504
    assert (await records.of(mark)).outcome == "timeout"


@pytest.mark.parametrize(
    ("path", "model", "upstream"),
    [
        ("/v1/chat/completions", "public-canary", "canary"),
        ("/api/chat", "short", "llama"),
        ("/api/chat", "llama3", "llama"),
        ("/v1/chat/completions", "llama3", "llama"),
        ("/v1/messages", "claude-4", "claude"),
        ("/v1/messages", "gpu-1", "gpu"),
        ("/v1/responses", "gpu-1", "gpu"),
    ],
)
async def test_a_family_goes_to_who_speaks_it(
    proxy: Process, records: Records, path: str, model: str, upstream: str
) -> None:
    mark = marker()
    body: dict[str, Any] = {"model": model, "messages": [], "stream": False, "max_tokens": 9}
    assert (await post_json(proxy.url, path, body, [("x-request-id", mark)])).status == 200
    assert (await records.of(mark)).upstream == upstream


@pytest.mark.parametrize(("path", "code"), [("/v1/messages", "not_found_error"), (CHAT, "model_not_found")])
async def test_a_model_that_nobody_serves(proxy: Process, path: str, code: str) -> None:
    answer = await post_json(proxy.url, path, {"model": "nobody", "messages": []})
    assert answer.status == 404
    error = answer.json()["error"]
    assert (error["type"] if path == "/v1/messages" else error["code"]) == code


async def test_models_of_all_upstreams_are_one_list(proxy: Process, records: Records) -> None:
    """Each under its public name and only where its upstream is there for it."""
    mark = marker()
    answer = await fetch(proxy.url, "GET", MODELS, [("x-request-id", mark)])
    listed = answer.json()
    assert listed["object"] == "list"
    names = [model["id"] for model in listed["data"]]
    assert len(names) == len(set(names))
    assert {"answer", "public", "größe", "short", "public-canary"} <= set(names)
    assert not {"tools", "reasoning", "length"} & set(names), "nobody serves these under their own names"
    assert {model["object"] for model in listed["data"]} == {"model"}
    assert {model["owned_by"] for model in listed["data"]} == {"fake"}
    record = await records.of(mark)
    assert (record.endpoint, record.outcome, record.response_bytes) == (
        "models.list",
        "completed",
        len(answer.body),
    )


async def test_tags_come_from_those_who_speak_ollama(proxy: Process) -> None:
    answer = await fetch(proxy.url, "GET", "/api/tags")
    assert answer.status == 200
    assert {model["name"] for model in answer.json()["models"]} == {"llama-public", "short"}


async def test_a_reload_drops_no_stream_and_takes_effect(
    config: Path, fake: FakeLLM, other: FakeLLM, proxy: Process, records: Records
) -> None:
    """A stream that began before SIGHUP ends where it began; the next request goes where the file says."""
    go_on = asyncio.Event()

    async def waits(exchange: Exchange) -> None:
        await exchange.stream_head()
        for number, event in enumerate(exchange.reply.events):
            if number == 3:
                await go_on.wait()
            await exchange.chunk(event)
        await exchange.chunk(exchange.reply.end)
        await exchange.chunk(b"")

    fake.on("gpu-waits", waits)
    held, after = marker(), marker()
    body = json.dumps(completion("gpu-waits", held, stream=True)).encode()
    before = await ask(fake.url, "gpu-plain", marker(), stream=True)
    async with await Connection.open(proxy.url) as connection:
        await connection.request("POST", CHAT, [("x-request-id", held)], body)
        head = await connection.head()
        await fake.request(held)
        write(config, [{"name": "moved", "url": other.url, "provider": "vllm"}])
        proxy.send(signal.SIGHUP)

        async def moved() -> bool:
            mark = marker()
            await ask(proxy.url, "answer", mark)
            return bool(other.requests(mark))

        await eventually(moved, "requests go to the new upstream")
        go_on.set()
        said = b"".join([part async for part in connection.parts(head)])
        assert said == before.body.replace(b"gpu-plain", b"gpu-waits")
        assert (await ask(proxy.url, "gpu-1", after)).status == 200
    stream, plain = await records.of_all([held, after])
    assert (stream.upstream, stream.outcome, stream.completion_tokens) == ("gpu", "completed", 7)
    assert plain.upstream == "moved"

    for wrong in ("upstreams: [", "upstreams: [{name: x, url: ftp://x}]", "upstreams: []", "surprise: 1"):
        await asyncio.to_thread(config.write_text, wrong)
        lines = proxy.stderr.count("not reloaded")
        proxy.send(signal.SIGHUP)

        async def said_so(before: int = lines) -> bool:
            return proxy.stderr.count("not reloaded") > before

        await eventually(said_so, "the wrong file is named")
        mark = marker()
        assert (await ask(proxy.url, "answer", mark)).status == 200
        assert (await records.of(mark)).upstream == "moved", "the configuration in force stays"

    write(config, upstreams(fake, other))
    proxy.send(signal.SIGHUP)

    async def back() -> bool:
        mark = marker()
        await ask(proxy.url, "gpu-1", mark)
        return bool(fake.requests(mark))

    await eventually(back, "requests go to the first upstream again")


async def test_a_listing_does_without_an_upstream_that_is_away(
    fake: FakeLLM, redis_server: RedisServer, tmp_path: Path
) -> None:
    config = tmp_path / "weir.yaml"
    with refusing() as nobody:
        write(config, [{"name": "away", "url": nobody}, {"name": "here", "url": fake.url}])
        proxy = start_proxy(redis_server.url, tmp_path / "proxy", {"WEIR_CONFIG": str(config)})
        try:
            answer = await fetch(proxy.url, "GET", MODELS)
            assert [model["id"] for model in answer.json()["data"]][:2] == ["answer", "short"]
            write(config, [{"name": "away", "url": nobody}, {"name": "too", "url": nobody}])
            proxy.send(signal.SIGHUP)

            async def none_left() -> bool:
                return (await fetch(proxy.url, "GET", MODELS)).status == 502

            await eventually(none_left, "nobody lists models")
        finally:
            assert await asyncio.to_thread(proxy.stop) == 0

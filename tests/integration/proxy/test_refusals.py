"""What the proxy refuses by itself: each with its status, OpenAI's error shape, and its record or none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.proxy import CHAT, MODELS, ask, completion
from tests.support.raw_http import Connection, fetch, post_json
from tests.support.records import marker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT: Final = 1_000_000


@pytest.fixture(scope="module")
def proxy_settings(tmp_path_factory: pytest.TempPathFactory, fake: FakeLLM) -> dict[str, str]:
    config = tmp_path_factory.mktemp("config") / "weir.yaml"
    write_config(config, fake.url)
    return {"WEIR_CONFIG": str(config), "WEIR_PROXY_MAX_BODY": str(LIMIT)}


def write_config(path: Path, url: str) -> None:
    upstream = {"name": "main", "url": url, "provider": "openai", "models": ["answer", "tools"]}
    path.write_text(json.dumps({"upstreams": [upstream]}))  # JSON is YAML too


async def settled(proxy: Process, records: Records) -> None:
    """Everything that was asked before this has its record by now, if it gets one."""
    mark = marker()
    await ask(proxy.url, "answer", mark)
    await records.of(mark)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/v1/", "/v1/chat", "/v1/chat/completions/", "/v1/fine_tuning/jobs", "/v1/files"),
        *("/metrics", "/healthz", "/readyz", "/docs", "/openapi.json", "/api/requests", "/graphql"),
        *("//v1/chat/completions", "/v1//chat/completions", "/v1/chat/../chat/completions"),
        *(
            "/v1/chat%2fcompletions",
            "/V1/chat/completions",
            "/v1/chat/completions;x=1",
            "/v1/chat/completions%00",
        ),
        *("/v1\\chat\\completions", "/v1/models/answer/..", "/%2e%2e/etc/passwd", "/v1/chat/completions%"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_other_paths_are_not_there(
    fake: FakeLLM, proxy: Process, records: Records, path: str, method: str
) -> None:
    mark, seen = marker(), len(fake.received)
    body = json.dumps(completion("answer")).encode() if method == "POST" else None
    answer = await fetch(proxy.url, method, path, [("x-request-id", mark)], body)
    assert answer.status == 404
    assert answer.header("content-type") == "application/json"
    assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "unknown_url")
    await settled(proxy, records)
    assert not records.has(mark)
    assert fake.requests(mark) == []
    assert len(fake.received) == seen + 1


@pytest.mark.parametrize(
    ("method", "path"), [("GET", CHAT), ("PUT", CHAT), ("DELETE", CHAT), ("POST", MODELS), ("PATCH", MODELS)]
)
async def test_other_methods_are_not_allowed(
    proxy: Process, records: Records, method: str, path: str
) -> None:
    mark = marker()
    answer = await fetch(proxy.url, method, path, [("x-request-id", mark)], b"{}")
    assert answer.status == 405
    assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "method_not_allowed")
    assert answer.header("allow") is not None
    await settled(proxy, records)
    assert not records.has(mark)


@pytest.mark.parametrize("path", [CHAT, MODELS, "/", "/metrics"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_head_and_options_get_an_answer_and_the_connection_lives(
    proxy: Process, method: str, path: str
) -> None:
    async with await Connection.open(proxy.url) as connection:
        await connection.request(method, path)
        answer = await connection.answer(method=method)
        assert answer.status in {200, 204, 404, 405}
        await connection.request("POST", CHAT, body=json.dumps(completion("answer")).encode())
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
async def test_connect_and_trace_are_refused(proxy: Process, method: str) -> None:
    async with await Connection.open(proxy.url) as connection:
        target = "example.com:443" if method == "CONNECT" else CHAT
        await connection.request(method, target)
        assert (await connection.answer()).status in {400, 404, 405}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"model":"answer"',
        b'{"model":"answer",}',
        b'["answer"]',
        b'"answer"',
        b"null",
        b'{"model":"answer"} {"model":"answer"}',
        b'{"model":"answer","user":"\xff\xfe"}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=[
        *("empty", "words", "open", "comma", "array", "string", "null", "two", "not-utf8"),
        *("deep-array", "deep-object"),
    ],
)
async def test_a_body_that_is_not_a_json_object(
    fake: FakeLLM, proxy: Process, records: Records, body: bytes
) -> None:
    mark = marker()
    answer = await post_json(proxy.url, CHAT, body, [("x-request-id", mark)])
    assert answer.status == 400
    assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "invalid_json")
    record = await records.of(mark)
    assert record.request_id == answer.request_id
    assert (record.outcome, record.status_code) == ("rejected", 400)
    assert record.error_type == "invalid_json"
    assert record.upstream_headers_ms is None
    assert fake.requests(mark) == []


@pytest.mark.parametrize("body", [b'{"messages":[]}', b'{"model":7}', b'{"model":null}', b'{"model":""}'])
async def test_a_strange_model_is_an_error_of_the_client_at_most(
    proxy: Process, records: Records, body: bytes
) -> None:
    """Whether to refuse it is left to the upstream or the list of models; it is never our failure."""
    mark = marker()
    answer = await post_json(proxy.url, CHAT, body, [("x-request-id", mark)])
    assert answer.status in {200, 400, 404}
    assert (await records.of(mark)).outcome in {"completed", "rejected"}


async def test_an_unknown_model(fake: FakeLLM, proxy: Process, records: Records) -> None:
    mark = marker()
    answer = await ask(proxy.url, "gpt-nope", mark)
    assert answer.status == 404
    assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "model_not_found")
    assert "gpt-nope" in answer.error["message"]
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == ("rejected", 404)
    assert (record.model_requested, record.model) == ("gpt-nope", None)
    assert record.error_type == "model_not_found"
    assert fake.requests(mark) == []


async def test_a_listed_model_is_served(proxy: Process, records: Records) -> None:
    mark = marker()
    assert (await ask(proxy.url, "tools", mark)).status == 200
    record = await records.of(mark)
    assert (record.upstream, record.provider) == ("main", "openai")


async def test_a_body_over_the_limit_is_refused_before_it_comes(proxy: Process, records: Records) -> None:
    mark = marker()
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: weir\r\nx-request-id: {mark}\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    )
    async with await Connection.open(proxy.url) as connection:
        await connection.send(head.encode())
        answer = await connection.answer()
    assert answer.status == 413
    assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "body_too_large")
    record = await records.of(mark)
    assert (record.outcome, record.status_code) == ("rejected", 413)


async def test_a_chunked_body_over_the_limit_is_refused_when_it_passes_it(
    proxy: Process, records: Records
) -> None:
    mark = marker()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: weir\r\nx-request-id: {mark}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with await Connection.open(proxy.url) as connection:
        await connection.send(head.encode())
        for _ in range(LIMIT // 0x10000 + 1):
            await connection.send(chunk)
        answer = await connection.answer()
    assert answer.status == 413
    assert answer.error["code"] == "body_too_large"
    assert (await records.of(mark)).outcome == "rejected"


async def test_a_body_at_the_limit_passes(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    body = json.dumps(completion("answer", mark)).encode().ljust(LIMIT)
    assert (await post_json(proxy.url, CHAT, body)).status == 200
    assert (await fake.request(mark)).body == body


async def test_absolute_form_does_not_choose_another_host(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    async with await Connection.open(proxy.url) as connection:
        body = json.dumps(completion("answer", mark)).encode()
        await connection.request("POST", f"http://elsewhere.example{CHAT}", body=body)
        assert (await connection.answer()).status in {400, 404, 421}
    assert fake.requests(mark) == []

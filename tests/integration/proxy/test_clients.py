"""The clients people use, unchanged but for their base URL: openai-python, openai-node and curl."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import openai
import pytest
import pytest_asyncio
from tests.support.clients import run_command, run_node_client
from tests.support.fake_llm import SCRIPTS
from tests.support.proxy import CHAT, completion
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID: Final = "".join(SCRIPTS["answer"].words)
HELLO: Final[Any] = [{"role": "user", "content": "Hello"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(proxy: Process) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="sk-python", max_retries=0) as client:
        yield client


async def test_openai_python_plain(client: openai.AsyncOpenAI, records: Records) -> None:
    mark = marker()
    answer = await client.chat.completions.create(
        model="answer", messages=HELLO, user="ada", extra_headers={"x-request-id": mark}
    )
    assert answer.choices[0].message.content == SAID
    assert answer.usage is not None
    assert answer.usage.total_tokens == 18
    record = await records.of(mark)
    assert (record.outcome, record.user, record.total_tokens) == ("completed", "ada", 18)


async def test_openai_python_streaming(client: openai.AsyncOpenAI, records: Records) -> None:
    mark = marker()
    stream = await client.chat.completions.create(
        model="answer", messages=HELLO, stream=True, extra_headers={"x-request-id": mark}
    )
    said = ""
    async for chunk in stream:
        assert chunk.usage is None
        said += chunk.choices[0].delta.content or ""  # a chunk without choices would fail here
    assert said == SAID
    record = await records.of(mark)
    assert (record.outcome, record.stream, record.total_tokens) == ("completed", True, 18)
    assert record.model_requested == "answer"


async def test_openai_python_with_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="answer", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 18


async def test_openai_python_tool_calls(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="tools", messages=HELLO)
    calls: list[Any] = list(answer.choices[0].message.tool_calls or [])
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("weather", '{"city":"Bern"}')
    ]


async def test_openai_python_leaving_a_stream(
    fake: FakeLLM, client: openai.AsyncOpenAI, records: Records
) -> None:
    mark = marker()
    stream = await client.chat.completions.create(
        model="answer:stall", messages=HELLO, stream=True, extra_headers={"x-request-id": mark}, user=mark
    )
    await anext(aiter(stream))
    await stream.close()
    async with asyncio.timeout(30):
        await (await fake.request(mark)).left.wait()
    assert (await records.of(mark)).outcome == "cancelled"


async def test_openai_python_sees_the_errors_it_knows(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        await client.chat.completions.create(model="answer:429", messages=HELLO)
    assert limited.value.code == "rate_limit_exceeded"
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.fine_tuning.jobs.retrieve("job-1")
    assert unknown.value.code == "unknown_url"
    with pytest.raises(openai.InternalServerError) as failed:
        await client.chat.completions.create(model="answer:garbage", messages=HELLO)
    assert failed.value.code == "upstream_bad_response"


async def test_openai_python_sees_a_stream_break(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="answer:reset", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as broken:
        async for _ in stream:
            pass
    assert broken.value.code == "upstream_disconnected"


async def test_openai_python_lists_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in await client.models.list()] == list(SCRIPTS)


async def test_openai_node(proxy: Process) -> None:
    answer = await run_node_client(f"{proxy.url}/v1", "answer")
    assert (answer["plain"], answer["streamed"], answer["total"]) == (SAID, SAID, 18)
    assert answer["chunks"] == len(SCRIPTS["answer"].words) + 2, "a role, the words and a finish reason"
    assert answer["usage"] == 18
    assert answer["models"] == list(SCRIPTS)
    assert answer["error"] == {
        "name": "NotFoundError",
        "status": 404,
        "code": "unknown_url",
        "type": "invalid_request_error",
    }


@pytest.mark.parametrize(
    "options", [[], ["--compressed"], ["--http1.0"]], ids=["plain", "compressed", "http1.0"]
)
async def test_curl(fake: FakeLLM, proxy: Process, options: list[str]) -> None:
    def command(url: str, body: dict[str, Any]) -> list[str]:
        return ["curl", "-sS", "-N", *options, f"{url}{CHAT}", "-d", json.dumps(body)]

    for stream in (False, True):
        body = completion("answer:gzip" if "--compressed" in options else "answer", stream=stream)
        assert await run_command(*command(proxy.url, body)) == await run_command(*command(fake.url, body))


async def test_curl_uploads_a_large_prompt(fake: FakeLLM, proxy: Process, tmp_path: Path) -> None:
    """Over 1 MB curl asks first (`Expect: 100-continue`) and waits a second if nobody answers that."""
    mark = marker()
    prompt = tmp_path / "prompt.json"
    prompt.write_text(json.dumps(completion("answer", mark, padding="p" * 2_000_000)))
    output = await run_command(
        *("curl", "-sS", "-o", str(tmp_path / "answer"), "-w", "%{http_code} %{time_total}"),
        *("-H", "Expect: 100-continue", f"{proxy.url}{CHAT}", "-d", f"@{prompt}"),
    )
    status, seconds = output.split()
    assert (status, float(seconds) < 0.9) == (b"200", True)
    assert len((await fake.request(mark)).body) == prompt.stat().st_size

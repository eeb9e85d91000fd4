"""A real model server, llama.cpp's, with a tiny model of random weights: what the fake cannot know."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import openai
import pytest
from tests.support import llama_cpp, sse
from tests.support.clients import locked_python, run_command
from tests.support.processes import start
from tests.support.raw_http import Answer, fetch, post_json
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

PROGRAMS: Final = Path(llama_cpp.__path__[0])
HELLO: Final[Any] = [{"role": "user", "content": "Hello"}]
FIXED: Final[Any] = {"model": "tiny", "max_tokens": 12, "temperature": 0, "seed": 1}
USAGE: Final = {"stream_options": {"include_usage": True}}
VARYING: Final = {"id", "item_id", "created", "created_at", "completed_at", "timings"}
ASKED: Final = (
    pytest.param("/v1/chat/completions", {"messages": HELLO}, id="chat"),
    pytest.param("/v1/chat/completions", {"messages": HELLO, "stream": True}, id="chat-stream"),
    pytest.param("/v1/chat/completions", {"messages": HELLO, "stream": True, **USAGE}, id="chat-usage"),
    pytest.param("/v1/completions", {"prompt": "Hello"}, id="completion"),
    pytest.param("/v1/completions", {"prompt": "Hello", "stream": True}, id="completion-stream"),
    pytest.param("/v1/messages", {"messages": HELLO}, id="messages"),
    pytest.param("/v1/messages", {"messages": HELLO, "stream": True}, id="messages-stream"),
    pytest.param("/v1/responses", {"input": "Hello", "max_output_tokens": 12}, id="responses"),
    pytest.param("/v1/responses", {"input": "Hello", "stream": True}, id="responses-stream"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    python = str(locked_python("llama-cpp"))
    model = tmp_path_factory.mktemp("model") / "tiny.gguf"
    asyncio.run(run_command(python, str(PROGRAMS / "tiny_model.py"), str(model)))
    process = start([python, str(PROGRAMS / "serve.py"), str(model)], {})
    yield process
    assert process.stop() == -signal.SIGTERM


@pytest.fixture(scope="module", params=["llamacpp", "openai"])
def provider(request: pytest.FixtureRequest) -> str:
    """What the server is, and what it is taken for behind a plain `WEIR_UPSTREAM_URL`."""
    return request.param


@pytest.fixture(scope="module")
def proxy_settings(
    server: Process, provider: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    if provider == "openai":
        return {"WEIR_UPSTREAM_URL": server.url}
    config = tmp_path_factory.mktemp("config") / "weir.yaml"
    config.write_text(f"upstreams: [{{name: gpu, url: '{server.url}/v1', provider: {provider}}}]")
    return {"WEIR_CONFIG": str(config)}


def lasting(value: Any) -> Any:
    """A document without what differs from one answer to the next, of which only the names are kept."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: None if name in VARYING else lasting(member) for name, member in members.items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [lasting(item) for item in items]
    return value


def said(answer: Answer, *, stream: bool) -> list[dict[str, Any]]:
    return sse.objects(answer.body) if stream else [answer.json()]


def reported(documents: list[dict[str, Any]]) -> tuple[int, int]:
    """The last counts in an answer, the prompt with what came from the cache."""
    found: dict[str, int] = {}
    for document in documents:
        for holder in (document, document.get("message"), document.get("response")):
            if isinstance(holder, dict):
                found |= cast("dict[str, Any]", holder).get("usage") or {}
    if "prompt_tokens" in found:
        return found["prompt_tokens"], found["completion_tokens"]
    return found["input_tokens"] + found.get("cache_read_input_tokens", 0), found["output_tokens"]


@pytest.mark.parametrize(("path", "body"), ASKED)
async def test_the_same_answer_and_the_counts_that_it_reports(
    server: Process, proxy: Process, records: Records, provider: str, path: str, body: dict[str, Any]
) -> None:
    mark, stream = marker(), body.get("stream") is True
    await post_json(server.url, path, FIXED | body)  # from here on its prompt is cached
    direct = await post_json(server.url, path, FIXED | body)
    through = await post_json(proxy.url, path, FIXED | body, [("x-request-id", mark)])
    assert (through.status, through.header("content-type")) == (200, direct.header("content-type"))
    assert lasting(said(through, stream=stream)) == lasting(said(direct, stream=stream))
    counting = direct
    if "completions" in path and stream:
        counting = await post_json(server.url, path, FIXED | body | USAGE)
    record = await records.of(mark)
    assert (record.prompt_tokens, record.completion_tokens) == reported(said(counting, stream=stream))
    assert (record.outcome, record.usage_source, record.model) == ("completed", "reported", "tiny")
    assert (record.provider, record.stream) == (provider, stream)
    assert record.finish_reason in {"stop", "length", "max_tokens", "end_turn", "completed"}


async def test_a_real_client_reads_a_real_stream(server: Process, proxy: Process, records: Records) -> None:
    heard: list[str] = []
    mark = marker()
    for url in (server.url, proxy.url):
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-x", max_retries=0) as client:
            stream = await client.chat.completions.create(
                messages=HELLO, stream=True, extra_headers={"x-request-id": mark}, **FIXED
            )
            heard.append("".join([chunk.choices[0].delta.content or "" async for chunk in stream]))
    assert heard[0] == heard[1] != ""
    record = await records.of(mark)
    assert record.time_to_first_token_ms is not None
    assert (record.content_chunks or 0) >= 1


async def test_listing_and_errors(server: Process, proxy: Process) -> None:
    direct, through = [await fetch(url, "GET", "/v1/models") for url in (server.url, proxy.url)]
    assert lasting(through.json()) == lasting(direct.json())
    wrong = FIXED | {"messages": "none"}
    direct, through = [await post_json(url, "/v1/chat/completions", wrong) for url in (server.url, proxy.url)]
    assert (through.status, through.body) == (direct.status, direct.body)
    assert through.status >= 400

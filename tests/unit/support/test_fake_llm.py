"""The fake model server is what other tests trust: it says what OpenAI would, and sees who leaves."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import sse
from tests.support.fake_llm import FakeLLM, answered_model
from tests.support.proxy import CHAT, ask, completion
from tests.support.raw_http import Connection, IncompleteAnswerError
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as fake:
        yield fake


async def test_usage_is_in_a_stream_only_when_asked_for(fake: FakeLLM) -> None:
    without = await ask(fake.url, "answer", marker(), stream=True)
    with_usage = await ask(fake.url, "answer", marker(), stream=True, stream_options={"include_usage": True})
    assert b"usage" not in without.body
    chunks = sse.objects(with_usage.body)
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 18)
    for chunk in chunks:
        del chunk["usage"]
    assert chunks[:-1] == sse.objects(without.body)
    assert chunks[0]["model"] == answered_model("answer")


async def test_it_keeps_what_it_received_and_counts_connections(fake: FakeLLM) -> None:
    mark = marker()
    async with await Connection.open(fake.url) as connection:
        for _ in range(3):
            await connection.request(
                "POST", CHAT, [("X-Odd", mark)], json.dumps(completion("short")).encode()
            )
            await connection.answer()
    assert [request.header("x-odd") for request in fake.requests(mark)] == [mark] * 3
    assert fake.connections == 1
    assert not any(request.left.is_set() for request in fake.received), "leaving afterwards is not leaving"


@pytest.mark.parametrize("manner", ["silent", "stall"])
async def test_it_sees_a_client_leave(fake: FakeLLM, manner: str) -> None:
    mark = marker()
    async with await Connection.open(fake.url) as connection:
        body = json.dumps(completion(f"answer:{manner}", mark, stream=True)).encode()
        await connection.request("POST", CHAT, [], body)
        received = await fake.request(mark)
        assert not received.left.is_set()
    async with asyncio.timeout(30):
        await received.left.wait()
        await received.answered.wait()


@pytest.mark.parametrize("manner", ["reset", "fin", "cut-inside-event", "no-done"])
async def test_it_breaks_off_where_it_should(fake: FakeLLM, manner: str) -> None:
    with pytest.raises(IncompleteAnswerError) as broken:
        await ask(fake.url, f"answer:{manner}", marker(), stream=True)
    assert b"Hello" in broken.value.body or manner == "reset"  # a reset may take back what was sent
    assert b"[DONE]" not in broken.value.body


async def test_it_runs_as_a_process_too() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.fake_llm", "--port", "0"),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            url = (await process.stdout.readline()).decode().strip()
            assert (await ask(url, "answer", marker())).status == 200
    finally:
        process.terminate()
        await process.wait()

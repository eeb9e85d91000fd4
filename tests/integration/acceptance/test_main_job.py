"""The main job, with everything real: a request is answered, recorded once, and stored, whatever dies.

On SQLite as `weir run` starts it, and on PostgreSQL with a second proxy and a second metrics API beside it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import openai
import pytest
import pytest_asyncio
from tests.support.fake_llm import SCRIPTS, FakeLLM, answered_model
from tests.support.load import Ledger
from tests.support.processes import children, start
from tests.support.proxy import start_proxy
from tests.support.raw_http import fetch
from tests.support.waiting import eventually
from tests.support.weir import requests, rows, service, start_weir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.postgres_server import PostgresServer
    from tests.support.processes import Process

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the services through /proc"),
]

SAID: Final = "".join(SCRIPTS["answer"].words)
HELLO: Final[Any] = [{"role": "user", "content": "Hello"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(pace=0.005) as fake:
        yield fake


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """A new PostgreSQL database; None for the SQLite that is there by default."""
    if request.param == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.database()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weir(
    database_url: str | None, fake: FakeLLM, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Process]:
    settings = {"WEIR_UPSTREAM_URL": fake.url, "WEIR_PROXY_WORKERS": "2"}
    if database_url is not None:
        settings["WEIR_DATABASE_URL"] = database_url
    process = start_weir(tmp_path_factory.mktemp("weir"), settings)
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy_urls(
    database_url: str | None, weir: Process, fake: FakeLLM, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[str]]:
    """Where clients may go. On PostgreSQL there is more than one of everything."""
    urls = [weir.announced["proxy_url"]]
    beside: list[Process] = []
    if database_url is not None:
        shared = {
            "REDIS_URL": weir.announced["redis_url"],
            "WEIR_DATABASE_URL": database_url,
            "WEIR_DATA_DIR": str(tmp_path_factory.mktemp("beside")),
            "WEIR_API_LISTEN": "127.0.0.1:0",
        }
        beside.append(start(["python", "-m", "weir.metrics_api"], shared))
        beside.append(
            start_proxy(shared["REDIS_URL"], Path(shared["WEIR_DATA_DIR"]), {"WEIR_UPSTREAM_URL": fake.url})
        )
        urls.append(beside[-1].url)
    yield urls
    for process in beside:
        assert await asyncio.to_thread(process.stop) == 0, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(proxy_urls: list[str]) -> AsyncIterator[list[openai.AsyncOpenAI]]:
    async with AsyncExitStack() as opened:
        yield [
            await opened.enter_async_context(
                openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-client", max_retries=0)
            )
            for url in proxy_urls
        ]


async def test_two_completions_are_rows_soon(weir: Process, clients: list[openai.AsyncOpenAI]) -> None:
    plain = await clients[0].chat.completions.create(model="answer", messages=HELLO)
    stream = await clients[-1].chat.completions.create(model="answer", messages=HELLO, stream=True)
    streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert (plain.choices[0].message.content, streamed) == (SAID, SAID)

    async def both() -> list[dict[str, Any]]:
        found = await requests(weir)
        return found if len(found) == 2 else []

    newest, oldest = await eventually(both, "both are stored")
    assert (newest["stream"], oldest["stream"]) == (True, False)
    for row in (newest, oldest):
        assert (row["outcome"], row["status_code"]) == ("completed", 200)
        assert (row["model_requested"], row["model"]) == ("answer", answered_model("answer"))
        assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (11, 7, 18)
        assert row["usage_source"] == "reported"
    assert 0 < newest["time_to_first_token_ms"] < newest["duration_ms"]
    assert newest["tokens_per_second"] > 0


async def test_a_killed_metrics_api_comes_back_and_counts_each_request_once(
    weir: Process, clients: list[openai.AsyncOpenAI]
) -> None:
    before = len(await requests(weir))
    killed = service(weir, "weir.metrics_api")
    os.kill(killed, signal.SIGKILL)

    async def ask(number: int) -> None:
        client = clients[number // 2 % len(clients)]
        answer: Any = await client.chat.completions.create(
            model="answer", messages=HELLO, stream=number % 2 == 0
        )
        if number % 2 == 0:
            assert [chunk async for chunk in answer]

    for first in range(0, 100, 10):
        await asyncio.gather(*(ask(number) for number in range(first, first + 10)))

    async def all_stored() -> bool:
        answer = await fetch(weir.url, "GET", "/api/summary?range=1h")
        return answer.status == 200 and answer.json()["total"]["requests"] >= before + 100

    await eventually(all_stored, "the metrics API is back and has caught up", deadline=30)
    assert service(weir, "weir.metrics_api") != killed
    stored = await requests(weir)
    assert len(stored) == before + 100
    assert len({row["request_id"] for row in stored}) == before + 100
    summary = (await fetch(weir.url, "GET", "/api/summary?range=1h")).json()["total"]
    assert summary["requests"] == before + 100, "the roll-ups count what the rows count"
    assert summary["outcomes"] == {"completed": before + 100}
    assert summary["tokens_output"] == 7 * (before + 100)


async def test_killed_workers_cost_no_row(weir: Process, proxy_urls: list[str]) -> None:
    ledgers = [Ledger(url) for url in proxy_urls]

    async def kill_workers() -> None:
        for number in range(3):
            await ledgers[0].more(50)
            running = children(service(weir, "weir.proxy"))
            os.kill(running[number % len(running)], signal.SIGKILL)
        await ledgers[0].more(50)

    undisturbed = [ledger.load(2, partial(ledger.more, 100)) for ledger in ledgers[1:]]
    await asyncio.gather(ledgers[0].load(6, kill_workers), *undisturbed)
    answered = {request_id for ledger in ledgers for request_id in ledger.request_ids}
    stored = await rows(weir, answered, deadline=15)
    outcomes = {row["request_id"]: row["outcome"] for row in stored}
    assert {outcomes[request_id] for request_id in answered} == {"completed"}
    assert len(outcomes) == len(stored), "no request has two rows"

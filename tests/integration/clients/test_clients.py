"""The clients that people use get through the proxy what they get directly, whatever they make of it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.clients import locked_python, run_command, run_node_client, run_sdk
from tests.support.fake_llm import SCRIPTS
from tests.support.families import CASES, Case
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID: Final = "".join(SCRIPTS["answer"].words)
MATRIX: Final = (
    pytest.param("sdk_openai", None, 20, id="openai-current"),
    pytest.param("sdk_openai", "clients-openai-1", 20, id="openai-1"),
    pytest.param("sdk_anthropic", "clients", 20, id="anthropic"),
    pytest.param("sdk_ollama", "clients", 20, id="ollama"),
    pytest.param("sdk_langchain", "clients", 12, id="langchain-openai"),
    pytest.param("sdk_litellm", "clients", 18, id="litellm"),
)


@pytest.mark.timeout(400)  # the first time the client is installed
@pytest.mark.parametrize(("program", "lock", "least"), MATRIX)
async def test_a_client_gets_the_same(
    fake: FakeLLM, proxy: Process, records: Records, program: str, lock: str | None, least: int
) -> None:
    """`least`: how many kinds of answer the program must have seen."""
    python = await asyncio.to_thread(locked_python, lock) if lock else Path(sys.executable)
    await records.read()
    before, seen = len(records.events), len(fake.received)
    through = await run_sdk(python, program, proxy.url)
    asked = len(fake.received) - seen
    direct = await run_sdk(python, program, fake.url)
    assert len(fake.received) - seen == 2 * asked, "it asks as often through the proxy as without it"
    assert list(through) == list(direct)
    for kind, answer in direct.items():
        assert through[kind] == answer, kind
    assert len(direct) >= least
    assert SAID in json.dumps(direct, ensure_ascii=False)
    await records.read(wait=1)
    outcomes = {event.outcome for event in records.events[before:]}
    assert outcomes <= {"completed", "client_error", "upstream_error"}


async def test_openai_node_gets_the_same(fake: FakeLLM, proxy: Process) -> None:
    through = await run_node_client(f"{proxy.url}/v1", "answer")
    direct = await run_node_client(f"{fake.url}/v1", "answer")
    unknown = (through.pop("error"), direct.pop("error"))
    assert through == direct
    assert [error["status"] for error in unknown] == [404, 404], "each says in its words what it has not"


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.model == "answer"], ids=lambda c: f"{c.name}-{c.stream}"
)
async def test_curl_gets_the_same_from_every_family(
    fake: FakeLLM, proxy: Process, case: Case, tmp_path: Path
) -> None:
    kind, body = case.request()
    sent = tmp_path / "body"
    sent.write_bytes(body)
    options = ["-H", f"Content-Type: {kind}", "--data-binary", f"@{sent}"] if kind else []

    def command(url: str) -> list[str]:
        named = ["-H", f"x-request-id: {marker()}"]
        return ["curl", "-sS", "-N", "-w", "%{http_code} %{content_type}", *named, *options, url + case.path]

    assert await run_command(*command(proxy.url)) == await run_command(*command(fake.url))

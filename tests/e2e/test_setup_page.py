"""The setup page's code runs as it stands, and the page notices."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.support.browser import Complaints, open_page
from tests.support.clients import locked_python, node_modules
from tests.support.fake_llm import FakeLLM
from tests.support.raw_http import fetch, post_json
from tests.support.waiting import eventually
from tests.support.weir import start_weir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECKOUT: Final = Path(__file__).parents[2]
SECONDS: Final = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weir(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = start_weir(tmp_path_factory.mktemp("weir"), {"WEIR_DEMO": "1"})
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with open_page() as page:
        yield page


async def test_the_first_request_turns_the_waiting_into_a_row(weir: Process, page: Page) -> None:
    complaints = Complaints(page)
    await page.goto(f"{weir.url}/setup")
    await expect(page.get_by_text("Waiting for your first request…")).to_be_visible()
    await run(["sh", "-c", await snippet(page, weir, "curl")])
    row = page.get_by_role("main").get_by_role("link", name="Open it")
    await expect(row).to_contain_text("demo")
    await expect(page.get_by_text("It works. This one just came through:")).to_be_visible()
    await row.click()
    await expect(page.get_by_role("article")).to_contain_text("Where the time went")
    assert complaints.all == []


async def test_env(weir: Process, page: Page, tmp_path: Path) -> None:
    """The variables alone are enough for openai-python."""
    (tmp_path / ".env").write_text(await snippet(page, weir, ".env"))
    program = (
        "from openai import OpenAI\n"
        "print(OpenAI().chat.completions.create(model='demo', messages=[{'role': 'user', 'content': 'Hi'}]))"
    )
    (tmp_path / "app.py").write_text(program)
    said = await run(["sh", "-c", f"set -a; . ./.env; exec '{sys.executable}' app.py"], tmp_path)
    assert "chat.completion" in said


async def test_curl(weir: Process, page: Page) -> None:
    assert '"chat.completion"' in await run(["sh", "-c", await snippet(page, weir, "curl")])


async def test_openai_python(weir: Process, page: Page) -> None:
    assert len(await run([python("Python"), "-c", await snippet(page, weir, "Python")])) > 20


async def test_openai_node(weir: Process, page: Page, tmp_path: Path) -> None:
    (tmp_path / "app.mjs").write_text(await snippet(page, weir, "Node"))
    (tmp_path / "node_modules").symlink_to(await node_modules())
    assert len(await run(["node", "app.mjs"], tmp_path)) > 20


async def test_langchain(weir: Process, page: Page) -> None:
    assert len(await run([python("LangChain"), "-c", await snippet(page, weir, "LangChain")])) > 20


async def test_anthropic_says_what_the_demo_cannot(weir: Process, page: Page) -> None:
    """The demo model knows chat completions only; the page says so beside the code."""
    code = await snippet(page, weir, "Anthropic")
    await expect(page.get_by_text("needs an upstream that speaks Anthropic's messages")).to_be_visible()
    compile(code, "anthropic snippet", "exec")
    assert f'base_url="{weir.announced["proxy_url"]}"' in code


async def test_anthropic(page: Page, tmp_path: Path) -> None:
    """Against an upstream that speaks its messages, under the model that was called last."""
    interpreter = python("Anthropic")
    async with FakeLLM(pace=0) as fake:
        weir = start_weir(tmp_path, {"WEIR_UPSTREAM_URL": fake.url})
        try:
            body = b'{"model": "answer", "messages": [{"role": "user", "content": "x"}]}'
            await post_json(weir.announced["proxy_url"], "/v1/chat/completions", body)

            async def known() -> bool:
                answer = await fetch(weir.url, "GET", "/api/setup")
                return answer.json()["model"] == "answer"

            await eventually(known, "the model is known")
            code = await snippet(page, weir, "Anthropic")
            assert 'model="answer"' in code
            assert (await run([interpreter, "-c", code])).strip()
        finally:
            assert await asyncio.to_thread(weir.stop, 40) == 0, weir.stderr


async def snippet(page: Page, weir: Process, tab: str) -> str:
    """The code under a tab of the page as it is served."""
    await page.goto(f"{weir.url}/setup")
    await expect(page.get_by_text(f"{weir.announced['proxy_url']}/v1").first).to_be_visible()
    await page.get_by_role("tab", name=tab, exact=True).click()
    return await page.get_by_role("tabpanel").locator("pre").inner_text()


def python(tab: str) -> str:
    """A Python that has the library of a snippet: this one, or that of the clients' own environment."""
    return sys.executable if tab == "Python" else str(locked_python("clients"))


async def run(command: list[str], directory: Path | None = None) -> str:
    """What a program prints; it must end well."""
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=directory,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""A person watches the dashboard in a real browser while a real client talks to the proxy."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

import openai
import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.support.browser import Complaints, open_page
from tests.support.fake_llm import FakeLLM, answered_model
from tests.support.weir import start_weir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Locator, Page
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO: Final[Any] = [{"role": "user", "content": "Hello"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(pace=0.01) as fake:
        yield fake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weir(fake: FakeLLM, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = start_weir(tmp_path_factory.mktemp("weir"), {"WEIR_UPSTREAM_URL": fake.url})
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(weir: Process) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{weir.announced['proxy_url']}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-client", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with open_page() as page:
        yield page


async def streamed(client: openai.AsyncOpenAI, model: str) -> None:
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True, user="ada")
    async for _ in stream:
        pass


async def test_a_request_appears_and_can_be_looked_into(
    weir: Process, client: openai.AsyncOpenAI, page: Page
) -> None:
    complaints = Complaints(page)
    await page.goto(weir.url)
    await expect(page.get_by_role("heading", name="No requests yet")).to_be_visible()
    await page.evaluate("window.stayed = true")

    await _it_appears_live(client, page)
    await _overview_counts_it(page)
    await _filter_leaves_the_failed_one(client, page)
    await _detail_says_what_happened(page)
    await _theme_is_kept(page)
    assert complaints.all == []


async def _it_appears_live(client: openai.AsyncOpenAI, page: Page) -> None:
    await streamed(client, "answer")
    feed = page.get_by_role("region", name="Live requests")
    await expect(feed.get_by_role("listitem").filter(has_text=answered_model("answer"))).to_have_count(1)

    await streamed(client, "reasoning")  # now that the feed is on the screen, with the clock running
    newest = feed.get_by_role("listitem").first
    await expect(newest).to_contain_text(answered_model("reasoning"))
    await expect(newest).to_contain_text("ada")
    await expect(newest).to_contain_text("11 → 25")
    assert await page.evaluate("window.stayed") is True, "without a reload"


async def _overview_counts_it(page: Page) -> None:
    models = page.get_by_role("region", name="Models")
    for model in ("answer", "reasoning"):
        await expect(models.get_by_role("row").filter(has_text=answered_model(model))).to_have_count(1)
    await expect(page.get_by_role("link", name=re.compile("Error rate"))).to_contain_text("0")


async def _filter_leaves_the_failed_one(client: openai.AsyncOpenAI, page: Page) -> None:
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(model="answer:429", messages=HELLO)
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Requests").click()
    await expect(_rows(page)).to_have_count(3)

    await page.keyboard.press("/")
    await page.keyboard.type("outcome:client_error")
    await page.keyboard.press("Enter")
    await expect(_rows(page)).to_have_count(1)
    await expect(_rows(page)).to_contain_text("answer:429")
    await expect(page).to_have_url(re.compile(r"outcome(:|%3A)client_error"))
    assert await page.evaluate("window.stayed") is True


async def _detail_says_what_happened(page: Page) -> None:
    await _rows(page).first.click()
    detail = page.get_by_role("dialog", name="Request detail")
    await expect(detail).to_contain_text("rate_limit_exceeded")
    await expect(detail).to_contain_text("Rate limit reached for fake models.")
    await expect(detail).to_contain_text("429")
    await expect(page).to_have_url(re.compile(r"[?&]id=[0-9a-f-]{36}"))
    await page.keyboard.press("Escape")
    await expect(detail).to_have_count(0)

    await page.get_by_role("button", name="Remove outcome:client_error").click()
    await expect(_rows(page)).to_have_count(3)
    await _rows(page).filter(has_text=answered_model("reasoning")).click()
    await expect(detail).to_contain_text("Where the time went")
    await expect(detail.get_by_text("reasoning", exact=True)).to_be_visible()
    await expect(detail).to_contain_text("usage reported")
    await page.keyboard.press("Escape")


async def _theme_is_kept(page: Page) -> None:
    root = page.locator("html")
    for theme in ("light", "dark"):
        await page.get_by_role("button", name="Theme").click()
        await page.get_by_role("button", name=theme.capitalize(), exact=True).click()
        await expect(root).to_have_attribute("data-theme", theme)
        await page.reload()
        await expect(root).to_have_attribute("data-theme", theme)
        await expect(page.get_by_role("heading", name="Requests", level=1)).to_be_visible()


def _rows(page: Page) -> Locator:
    """The rows of the requests table, without its head."""
    return (
        page.get_by_role("grid", name="Requests").get_by_role("row").filter(has=page.get_by_role("gridcell"))
    )

"""Everybody can use the dashboard: axe finds nothing on any page in any theme, a keyboard reaches all."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.support.axe import violations
from tests.support.browser import Complaints, open_page
from tests.support.fake_llm import FakeLLM
from tests.support.raw_http import post_json
from tests.support.waiting import eventually
from tests.support.weir import requests, start_weir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

THEMES: Final = ("dark", "light")
PAGES: Final = {"/": "Overview", "/requests": "Requests", "/setup": "Connect your app", "/system": "System"}
CHAT: Final = "/v1/chat/completions"
ANSWERS: Final = ("answer", "answer", "reasoning", "answer:429", "answer:500")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(pace=0.001) as fake:
        yield fake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = start_weir(tmp_path_factory.mktemp("empty"), {"WEIR_DEMO": "1"})
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def busy(fake: FakeLLM, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = start_weir(tmp_path_factory.mktemp("busy"), {"WEIR_UPSTREAM_URL": fake.url})
    for model in ANSWERS:
        body = (
            f'{{"model":"{model}","stream":true,"user":"ada","messages":[{{"role":"user","content":"x"}}]}}'
        )
        await post_json(process.announced["proxy_url"], CHAT, body.encode())

    async def stored() -> bool:
        return len(await requests(process)) == len(ANSWERS)

    await eventually(stored, "the requests are stored", 30)
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(open_page())


async def open_in(page: Page, weir: Process, theme: str, path: str) -> None:
    """Open a page in a theme and wait until its data are on the screen."""
    await page.goto(weir.url)
    await page.evaluate("theme => localStorage.setItem('weir.theme', theme)", theme)
    await page.goto(weir.url + path)
    await expect(page.locator("html")).to_have_attribute("data-theme", theme)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    for words in ("stream lag", "unaccounted"):
        await expect(page.get_by_role("link", name=words)).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", PAGES)
async def test_pages_with_data(busy: Process, page: Page, theme: str, path: str) -> None:
    complaints = Complaints(page)
    await open_in(page, busy, theme, path)
    await expect(page.get_by_role("heading", level=1)).to_have_text(PAGES[path])
    assert await violations(page) == []
    assert complaints.all == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", PAGES)
async def test_pages_without_data(empty: Process, page: Page, theme: str, path: str) -> None:
    await open_in(page, empty, theme, path)
    assert await violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
async def test_one_request(busy: Process, page: Page, theme: str) -> None:
    newest, *_ = await requests(busy)
    await open_in(page, busy, theme, f"/requests?id={newest['request_id']}")
    await expect(page.get_by_role("dialog", name="Request detail")).to_contain_text("Where the time went")
    assert await violations(page) == []
    await open_in(page, busy, theme, f"/requests/{newest['request_id']}")
    await expect(page.get_by_text("Where the time went")).to_be_visible()
    assert await violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
async def test_what_opens(busy: Process, page: Page, theme: str) -> None:
    await open_in(page, busy, theme, "/")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("figure").first.focus()
    await page.keyboard.press("t")
    await expect(page.get_by_role("figure").first.get_by_role("table")).to_be_visible()
    assert await violations(page) == []
    await open_in(page, busy, theme, "/?q=model:nobody")
    assert await violations(page) == []


async def test_the_keyboard_reaches_everything(busy: Process, page: Page) -> None:
    """Tab visits each control once, always visibly, never gets stuck, and comes round."""
    for path in PAGES:
        await open_in(page, busy, "dark", path)
        await page.evaluate(_LIST_CONTROLS)
        for _ in range(400):
            await page.keyboard.press("Tab")
            if await page.evaluate(_VISIT):
                break
        missed, invisible = await page.evaluate(
            "[controls.filter(c => !seen.has(c)).map(c => c.outerHTML.slice(0, 160)), invisible]"
        )
        assert missed == [], path
        assert invisible == [], path


async def test_from_a_spike_to_its_request_without_a_mouse(busy: Process, page: Page) -> None:
    await open_in(page, busy, "dark", "/")
    await page.get_by_role("figure").first.focus()
    await page.keyboard.press("End")
    for _ in range(30):  # back to the bucket that has something in it
        said = await page.get_by_role("figure").first.locator("[aria-live]").inner_text()
        if re.search(r" [1-9]\d*(,|$)", said):
            break
        await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Requests", level=1)).to_be_visible()
    rows = page.get_by_role("grid", name="Requests").get_by_role("gridcell")
    await expect(rows.first).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    detail = page.get_by_role("dialog", name="Request detail")
    await expect(detail).to_contain_text("Where the time went")
    await page.keyboard.press("Escape")
    await expect(detail).to_have_count(0)
    await page.keyboard.press("g")
    await page.keyboard.press("y")
    await expect(page.get_by_role("heading", name="System", level=1)).to_be_visible()


_LIST_CONTROLS: Final = """() => {
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const all = document.querySelectorAll("a[href], button:enabled, input, select, textarea, [tabindex='0']");
  window.controls = [...all].filter((control) => shown(control) && control.tabIndex >= 0);
  window.seen = new Set();
  window.invisible = [];
}"""
_VISIT: Final = """() => {
  const now = document.activeElement;
  if (now === document.body || window.seen.has(now)) return true;
  window.seen.add(now);
  const ringed = (element) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  };
  if (!ringed(now) && !ringed(now.parentElement)) window.invisible.push(now.outerHTML.slice(0, 160));
  return false;
}"""

"""The reconciliation on the screen: calm when every request is accounted for, an alarm when one is not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.support.axe import violations
from tests.support.browser import Complaints, open_page
from tests.support.raw_http import post_json
from tests.support.weir import start_weir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Locator, Page, Route
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS: Final = 3
WHY: Final = "Redis does not answer: refused"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weir(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = start_weir(tmp_path_factory.mktemp("weir"), {"WEIR_DEMO": "1", "WEIR_PROXY_ID": "gate"})
    body = b'{"model": "demo", "messages": [{"role": "user", "content": "x"}]}'
    for _ in range(REQUESTS):
        await post_json(process.announced["proxy_url"], "/v1/chat/completions", body)
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with open_page() as page:
        yield page


def row(page: Page, name: str) -> Locator:
    """The numbers of a proxy, or of `all`."""
    table = page.get_by_role("region", name="Requests by proxy and place")
    return table.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def words(page: Page) -> Locator:
    """What the status bar says of it."""
    return page.get_by_role("contentinfo").get_by_role("link", name="unaccounted")


async def test_every_request_is_found_from_the_status_bar(weir: Process, page: Page) -> None:
    complaints = Complaints(page)
    await page.goto(weir.url)
    await expect(words(page)).to_have_text("· unaccounted 0")
    await words(page).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="System", level=1)).to_be_visible()
    numbers = [str(REQUESTS), "0", "0", "0", str(REQUESTS), "0", "0", "0"]
    for name in ("gate running", "all"):
        await expect(row(page, name).get_by_role("cell")).to_have_text(numbers)
    await expect(page.get_by_text("all accounted for")).to_be_visible()
    await keep(page, "system-calm")
    assert complaints.all == []


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_a_lost_request_alarms_and_unknown_is_not_zero(weir: Process, page: Page, theme: str) -> None:
    await page.add_init_script(f"localStorage.setItem('weir.theme', '{theme}')")
    told: dict[str, Any] = {"unaccounted": 2, "in_journal": None}

    async def tell(route: Route) -> None:
        answer = await route.fetch()
        report = await answer.json()
        for numbers in (report["total"], *report["proxies"]):
            numbers.update(told)
        for place in (report, *report["proxies"]):
            place["unknown"] |= {name: WHY for name, value in told.items() if value is None}
        await route.fulfill(response=answer, json=report)

    await page.route("**/api/pipeline", tell)
    await page.goto(f"{weir.url}/system")
    await expect(words(page)).to_have_text("· ✕ unaccounted 2")
    await expect(page.get_by_text("2 unaccounted for")).to_be_visible()
    cells = row(page, "gate").get_by_role("cell")
    await expect(cells.nth(2)).to_contain_text(WHY)  # for those who hear it; a dash to be seen
    await expect(cells.last).to_have_text("✕ 2")
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert await violations(page) == []
    await keep(page, f"system-alarm-{theme}")

    await page.set_viewport_size({"width": 360, "height": 740})
    await expect(words(page)).to_be_in_viewport(ratio=1)
    pages = page.get_by_role("navigation", name="Pages")
    await expect(pages.get_by_role("link", name="System")).to_be_in_viewport(ratio=1)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await violations(page) == []
    await keep(page, f"system-narrow-{theme}")

    told["unaccounted"] = None
    await expect(page.get_by_text("not known now")).to_be_visible()
    await page.set_viewport_size({"width": 1024, "height": 740})
    await expect(words(page)).to_contain_text(f"unaccounted \u2013unknown: {WHY}")
    assert await violations(page) == []
    await keep(page, f"system-unknown-{theme}")


async def keep(page: Page, name: str) -> None:
    """For whoever wants to look at it."""
    if folder := os.environ.get("WEIR_TEST_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")

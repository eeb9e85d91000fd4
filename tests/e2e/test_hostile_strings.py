"""Strings of attackers in every stored field: on every page they are text, nothing runs, nothing breaks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest
import pytest_asyncio
from playwright.async_api import expect
from redis import Redis
from tests.support.browser import Complaints, open_page
from tests.support.builders import make_event
from tests.support.redis_server import RedisServer
from tests.support.waiting import eventually
from tests.support.weir import requests, start_weir

from weir.events import Attempt, Outcome, encode
from weir.events.stream import FIELD, REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKUP: Final = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>"
HOSTILE: Final = {
    "markup": MARKUP,
    "attribute": "\"' onmouseover=window.pwned=1 x='",
    "address": "javascript:window.pwned=1",
    "template": "${window.pwned=1}{{constructor.constructor('window.pwned=1')()}}",
    "formula": "=cmd|' /C calc'!A0",
    "control": "a\x01b\x1b[31mc\x7f\x85d",
    "direction": "\u202egnp.exe\u2066\u200f",
    "zero-width": "ad\u200bmin\ufeff",
    "long": "W" * 250,
    "combining": "Z" + "\u0301" * 200,
    "prototype": "__proto__",
    "filter": 'model:"x" OR outcome:*',
}
LOOK: Final = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const safe = (link) => /^(https?:|\\/|#|\\?)/.test(link.getAttribute("href"));
  const handles = (element) => [...element.attributes].some((attribute) => /^on/.test(attribute.name));
  return {
    pwned: window.pwned ?? null,
    images: all("img[src='x'], script:not([src])").length,
    handlers: all("*").filter(handles).length,
    links: all("a[href]").filter((link) => !safe(link)).map((link) => link.getAttribute("href")),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
}"""
TEXTS: Final = (
    *("client_request_id", "upstream_request_id", "trace_id", "span_id", "project", "api_key_id", "user"),
    *(
        "provider",
        "upstream",
        "variant",
        "model_requested",
        "model",
        "endpoint",
        "error_type",
        "error_message",
    ),
    *("finish_reason", "proxy_id"),
)


def hostile_event(text: str) -> Any:
    fields: dict[str, Any] = dict.fromkeys(TEXTS, text)
    fields["metadata"] = {text[:60]: text}
    fields["usage_raw"] = {text[:60]: text}
    fields["attempts"] = [Attempt(upstream=text, error=text), Attempt(upstream=text, status=500, error=text)]
    return make_event(started_at=None, outcome=Outcome.UPSTREAM_ERROR, status_code=500, **fields)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weir(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    folder = tmp_path_factory.mktemp("hostile")
    redis = RedisServer(folder / "redis")
    redis.start()
    process = start_weir(folder, {"WEIR_DEMO": "1", "REDIS_URL": redis.url})
    with Redis.from_url(redis.url) as connection:
        for text in HOSTILE.values():
            connection.xadd(REQUESTS, {FIELD: encode(hostile_event(text))})

    async def stored() -> bool:
        return len(await requests(process)) == len(HOSTILE)

    await eventually(stored, "the records are stored", 30)
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr
    redis.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(open_page())


async def visit(page: Page, url: str) -> None:
    """Open a page, look at it whole, and see that nothing of the strings has run or broken out."""
    complaints = Complaints(page)
    dialogs: list[str] = []

    async def dismiss(dialog: Any) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", dismiss)
    await page.goto(url)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    state = await page.evaluate(LOOK)
    page.remove_listener("dialog", dismiss)
    assert state == {"pwned": None, "images": 0, "handlers": 0, "links": [], "wide": 0}
    assert dialogs == []
    assert complaints.all == []


@pytest.mark.parametrize("path", ["/", "/requests", "/setup", "/system"])
async def test_every_page(weir: Process, page: Page, path: str) -> None:
    await visit(page, weir.url + path)


async def test_the_strings_are_there_as_text(weir: Process, page: Page) -> None:
    await page.goto(weir.url + "/requests")
    await expect(page.get_by_text(MARKUP, exact=False).first).to_be_visible()


async def test_each_request_alone_and_beside_the_list(weir: Process, page: Page) -> None:
    for row in await requests(weir):
        await visit(page, f"{weir.url}/requests/{row['request_id']}")
    newest = (await requests(weir))[0]["request_id"]
    await visit(page, f"{weir.url}/requests?id={newest}")


@pytest.mark.parametrize("name", HOSTILE)
async def test_as_a_filter_in_the_address(weir: Process, page: Page, name: str) -> None:
    text = quote(HOSTILE[name], safe="")
    complaints = Complaints(page)
    await page.goto(f"{weir.url}/requests?model={text}&q={text}&user={text}")
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert await page.evaluate("window.pwned ?? null") is None
    assert [each for each in complaints.all if "Content Security" in each or "Error" in each] == []

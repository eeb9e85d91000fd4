"""What the first page weighs, as a browser that has never been here gets it from the gateway."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from playwright.async_api import expect
from tests.support.browser import open_page
from tests.support.raw_http import post_json
from tests.support.weir import start_weir

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Response

SCRIPT_BYTES: Final = 120_000
STYLE_BYTES: Final = 14_000
"""Of all scripts and styles of the overview, compressed by gzip."""


async def test_the_overview_is_light_and_alone(tmp_path: Path) -> None:
    weir = start_weir(tmp_path, {"WEIR_DEMO": "1"})
    answers: list[Response] = []
    try:
        body = b'{"model": "demo", "messages": [{"role": "user", "content": "x"}]}'
        await post_json(weir.announced["proxy_url"], "/v1/chat/completions", body)
        async with open_page() as page:
            page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - playwright takes no builtins
            await page.goto(weir.url)
            feed = page.get_by_role("region", name="Live requests")
            await expect(feed.get_by_role("listitem").filter(has_text="demo")).to_have_count(1)
            await expect(page.locator("canvas").first).to_be_visible()
            assert {urlsplit(answer.url).netloc for answer in answers} == {urlsplit(weir.url).netloc}
            scripts = [one for one in answers if one.request.resource_type == "script"]
            styles = [one for one in answers if one.request.resource_type == "stylesheet"]
            assert scripts
            assert sum([await _gzipped(one) for one in scripts]) <= SCRIPT_BYTES
            assert sum([await _gzipped(one) for one in styles]) <= STYLE_BYTES
            entry = max(scripts, key=lambda one: int(one.headers.get("content-length", 0)))
            assert entry.headers["content-encoding"] in {"br", "gzip"}
            assert "immutable" in entry.headers["cache-control"]
    finally:
        assert await asyncio.to_thread(weir.stop, 40) == 0, weir.stderr


async def _gzipped(answer: Response) -> int:
    return len(gzip.compress(await answer.body(), 9))

"""A real Chromium: the machine's own if it has one, else the one that Playwright installed."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Page

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS: Final = 30_000
"""What is waited for comes; how soon is the machine's business."""
QUIET: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class Complaints:
    """What a page complained about: errors and warnings on its console, uncaught exceptions, failed loads."""

    def __init__(self, page: Page) -> None:
        self.all: list[str] = []
        page.on("console", lambda m: self._add(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self._add(str(error)))
        page.on(
            "requestfailed", lambda r: self._add(f"{r.url}: {r.failure}") if _matters(r.failure) else None
        )

    def _add(self, text: str) -> None:
        self.all.append(text)


def _matters(failure: str | None) -> bool:
    """A load that the page itself gave up, such as its event stream when it is left, is no failure."""
    return failure != "net::ERR_ABORTED"


@asynccontextmanager
async def open_page(*, width: int = 1440, height: int = 900) -> AsyncGenerator[Page]:
    """An empty page in a browser of its own."""
    found = [path for name in NAMES if (path := shutil.which(name))]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found[0] if found else None, args=QUIET)
        page = await browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        try:
            yield page
        finally:
            await browser.close()

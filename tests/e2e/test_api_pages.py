"""A person reads the API's page and tries GraphQL, through the dashboard's address and its policy."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.support.axe import violations
from tests.support.browser import Complaints, open_page
from tests.support.raw_http import fetch
from tests.support.weir import start_weir

from weir.metrics_api.rest.description import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER: Final = ".graphiql-response"
GRAPHIQLS_OWN: Final = {
    "scrollable-region-focusable": "its editors scroll with the cursor in them, which axe does not see",
    "aria-required-children": "its tabs hold the buttons that close them",
    "nested-interactive": "the same",
}
"""Rules that GraphiQL itself breaks, and in what."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weir(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = start_weir(tmp_path_factory.mktemp("weir"), {"WEIR_DEMO": "1", "WEIR_API_HOSTS": "api.example"})
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    await fetch(process.announced["proxy_url"], "POST", "/v1/chat/completions", body=body)
    yield process
    assert await asyncio.to_thread(process.stop, 40) == 0, process.stderr


@pytest_asyncio.fixture(loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with open_page() as page:
        yield page


async def _keep(page: Page, name: str) -> None:
    """For whoever wants to look at it."""
    if folder := os.environ.get("WEIR_TEST_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_every_endpoint_is_described_and_can_be_tried(weir: Process, page: Page) -> None:
    complaints = Complaints(page)
    await page.goto(f"{weir.url}/api/docs")
    for endpoint in ENDPOINTS:
        await expect(page.get_by_role("heading", name=f"GET {endpoint.path}", exact=True)).to_be_visible()
    summary = page.get_by_role("region", name="GET /api/summary")
    await summary.get_by_label("range", exact=True).fill("24h")
    await summary.get_by_label("by", exact=True).select_option("model")
    await summary.get_by_role("button", name="Try it").click()
    await expect(summary.get_by_label("Answer")).to_contain_text("GET /api/summary?range=24h&by=model\n200")
    await summary.locator("summary", has_text="Group[]").click()
    await summary.locator("details details summary", has_text="ttft_ms").click()
    await expect(summary.locator("details details")).to_contain_text(["p95"])
    await _keep(page, "api-docs")
    assert complaints.all == []


async def test_a_wrong_parameter_shows_what_is_right(weir: Process, page: Page) -> None:
    await page.goto(f"{weir.url}/api/docs#listRequests")
    requests = page.get_by_role("region", name="GET /api/requests", exact=True)
    await requests.get_by_label("range", exact=True).fill("long")
    await requests.get_by_role("button", name="Try it").click()
    await expect(requests.get_by_label("Answer")).to_contain_text("invalid_range")


@pytest.mark.parametrize("door", ["url", "api_url"])
async def test_a_graphql_query_is_written_and_run(weir: Process, page: Page, door: str) -> None:
    complaints = Complaints(page)
    hosts: set[str] = set()
    page.on("request", lambda asked: hosts.add(urlsplit(asked.url).netloc))
    await page.goto(f"{weir.announced[door]}/graphql")
    query = page.get_by_role("region", name="Query Editor")
    await expect(query).to_contain_text("next_cursor")
    await query.get_by_role("textbox", name="Query").focus()
    await page.keyboard.press("Control+a")
    await page.keyboard.insert_text("query A($r: String) { ")  # as one paste: it closes no brackets by itself
    await page.keyboard.type("summ")
    await page.get_by_role("option", name="summary").click()
    await expect(query.get_by_role("textbox", name="Query")).to_be_focused()
    await page.keyboard.insert_text("(range: $r) { total { requests } } }")
    await page.get_by_role("button", name="Variables").click()
    await page.get_by_role("textbox", name="Variables").focus()
    await page.keyboard.insert_text('{"r": "24h"}')
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(ANSWER)).to_contain_text('"requests": 1')
    await expect(page).to_have_url(re.compile("total.*variables=.*24h"))
    await _keep(page, f"graphql-{door}")

    await page.reload()
    await expect(query).to_contain_text("summary(range: $r) { total { requests } }")
    await page.get_by_role("button", name="Execute query").click()
    await expect(page.locator(ANSWER)).to_contain_text('"requests": 1')
    assert hosts == {urlsplit(weir.announced[door]).netloc}
    assert complaints.all == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_schema_can_be_read_and_everybody_can_use_graphiql(
    weir: Process, page: Page, scheme: Literal["light", "dark"]
) -> None:
    complaints = Complaints(page)
    await page.emulate_media(color_scheme=scheme)
    await page.goto(f"{weir.url}/graphql")
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = page.get_by_role("region", name="Documentation Explorer")
    await docs.get_by_role("link", name="Query").click()
    await expect(docs).to_contain_text("Single requests, newest first.")
    await page.get_by_role("button", name="Execute query").click()
    await expect(page.locator(ANSWER)).to_contain_text('"model": "demo"')
    assert await violations(page, without=tuple(GRAPHIQLS_OWN)) == []
    await page.get_by_role("button", name="Open settings dialog").click()
    await expect(page.get_by_role("dialog", name="Settings")).to_be_visible()
    assert await violations(page, without=tuple(GRAPHIQLS_OWN)) == []
    await _keep(page, f"graphql-{scheme}")
    assert complaints.all == []


async def test_every_example_works(weir: Process, page: Page) -> None:
    await page.goto(f"{weir.url}/graphql")
    for example in ("Newest requests", "Summary by model", "What failed", "Series", "Variants and upstreams"):
        await page.get_by_role("button", name="Examples").click()
        await page.get_by_role("menuitem", name=example).click()
        async with page.expect_response("**/graphql") as answered:
            await page.get_by_role("button", name="Execute query").click()
        answer = await (await answered.value).json()
        assert (bool(answer["data"]), "errors" in answer) == (True, False), example


@pytest.mark.parametrize(
    ("which", "setting", "own_name"),
    [("url", "WEIR_DASHBOARD_HOSTS", "dashboard"), ("api_url", "WEIR_API_HOSTS", "metrics-api")],
)
async def test_strange_hosts_get_nothing(weir: Process, which: str, setting: str, own_name: str) -> None:
    async with httpx.AsyncClient(base_url=weir.announced[which], trust_env=False) as client:
        for path in ("/", "/api/requests", "/graphql", "/healthz"):
            refused = await client.get(path, headers={"Host": "evil.example"})
            assert refused.status_code == 421
            assert (refused.json()["code"], setting in refused.json()["detail"]) == ("unexpected_host", True)
        for host in ("localhost:1", "127.0.0.1", "[::1]:9", own_name):
            assert (await client.get("/healthz", headers={"Host": host})).status_code == 200
        added = await client.get("/healthz", headers={"Host": "api.example"})
        assert added.status_code == (200 if which == "api_url" else 421)

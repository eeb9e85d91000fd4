"""axe-core on a page: what stands in the way of people who do not see it or do not use a mouse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.async_api import Page

AXE: Final = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
_RUN: Final = """(without) => axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  rules: Object.fromEntries(without.map((rule) => [rule, { enabled: false }])),
}).then(({ violations }) => violations.map(({ id, help, nodes }) => [
  `${id}: ${help}`, ...nodes.map((node) => `    ${node.html.slice(0, 200)} ${node.failureSummary}`),
].join("\\n")))"""


async def violations(page: Page, *, without: Sequence[str] = ()) -> list[str]:
    """Every rule that the page breaks as it is now, with the elements that break it; `without` names rules
    that are not looked at.
    """
    if not await page.evaluate("typeof axe !== 'undefined'"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: Any = await page.evaluate(_RUN, list(without))
    return found

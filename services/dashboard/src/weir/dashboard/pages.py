"""The two pages the gateway itself can show: no SPA yet, and no backend."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

from aiohttp import web

_STYLE: Final = """
:root { color-scheme: light dark; --bg: #f6f7f9; --surface: #fff; --raised: #eef1f5; --line: #d8dee7;
  --text: #131a24; --text-2: #475467; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #0b0e14; --surface: #11151d; --raised: #181d27; --line: #262d3a;
    --text: #e8ecf3; --text-2: #a9b4c4; } }
body { margin: 0; background: var(--bg); color: var(--text); font: 14px/20px Inter, system-ui, sans-serif; }
main { box-sizing: border-box; max-width: 40rem; margin: 15vh auto 0; padding: 24px;
  background: var(--surface); border: 1px solid var(--line); border-radius: 6px; }
h1 { margin: 0 0 12px; font-size: 16px; line-height: 24px; font-weight: 600; }
p { margin: 0 0 12px; color: var(--text-2); overflow-wrap: anywhere; }
p:last-child { margin: 0; }
code { padding: 1px 5px; background: var(--raised); color: var(--text); border-radius: 4px;
  font: 12px/18px "JetBrains Mono", ui-monospace, monospace; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)


def page(status: int, title: str, *paragraphs: str, retry_seconds: int) -> web.Response:
    """A plain page that loads itself again. A paragraph may mark code with backticks; all else is escaped."""
    text = "\n".join(f"<p>{_with_code(paragraph)}</p>" for paragraph in paragraphs)
    html = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{retry_seconds}">
<title>{escape(title)} · Weir</title>
<style>{_STYLE}</style>
<main>
<h1>{escape(title)}</h1>
{text}
</main>
</html>
"""
    return web.Response(
        status=status,
        text=html,
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"},
    )


def wants_page(request: web.Request) -> bool:
    """Whether a person's browser navigates here, as opposed to a script that fetches."""
    navigates = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    return navigates and "text/html" in request.headers.get("Accept", "")


def _with_code(paragraph: str) -> str:
    parts = enumerate(escape(paragraph).split("`"))
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in parts)

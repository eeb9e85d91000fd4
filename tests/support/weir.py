"""All of Weir as `weir run` starts it, on free ports, with data of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.support.processes import Process, children, command_line, start
from tests.support.raw_http import fetch
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS: Final = 60.0


def start_weir(directory: Path, settings: Mapping[str, str]) -> Process:
    """Run `weir run` until it is ready. `announced` holds `url` (the dashboard), `proxy_url`, `api_url` …"""
    environment = {
        "WEIR_PROXY_LISTEN": "127.0.0.1:0",
        "WEIR_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "WEIR_API_LISTEN": "127.0.0.1:0",
        "WEIR_DASHBOARD_LISTEN": "127.0.0.1:0",
        "WEIR_DATA_DIR": str(directory / "data"),
        **settings,
    }
    return start(["python", "-m", "weir.cli", "run"], environment, cwd=directory, deadline=START_SECONDS)


def service(weir: Process, module: str) -> int:
    """The process id of one of its services, such as `weir.metrics_api`."""
    (pid,) = [pid for pid in children(weir.pid) if module in command_line(pid).split()]
    return pid


async def requests(weir: Process, query: str = "range=1h") -> list[dict[str, Any]]:
    """All stored requests, page by page, as the dashboard gets them."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        answer = await fetch(weir.url, "GET", f"/api/requests?limit=200&{query}{more}")
        assert answer.status == 200, answer.body
        page = answer.json()
        found += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return found


async def rows(weir: Process, request_ids: set[str], deadline: float) -> list[dict[str, Any]]:
    """The rows of these requests, as soon as all of them are there; the API may be away for a while."""

    async def stored() -> list[dict[str, Any]]:
        answer = await fetch(weir.url, "GET", "/api/requests?limit=1")
        if answer.status != 200:
            return []
        found = await requests(weir)
        return found if request_ids <= {row["request_id"] for row in found} else []

    return await eventually(stored, f"{len(request_ids)} rows are stored", deadline)

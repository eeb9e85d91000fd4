"""The admin listener: health inside, and none of it on the public port (see test_refusals; test_metrics)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.proxy import CHAT
from tests.support.raw_http import fetch

if TYPE_CHECKING:
    from tests.support.processes import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_is_healthy_and_ready(proxy: Process) -> None:
    admin = proxy.announced["admin_url"]
    assert (await fetch(admin, "GET", "/healthz")).json() == {"status": "ok"}
    ready = await fetch(admin, "GET", "/readyz")
    assert (ready.status, ready.json()["status"]) == (200, "ok")


async def test_completions_are_not_served_there(proxy: Process) -> None:
    answer = await fetch(proxy.announced["admin_url"], "POST", CHAT, [], b"{}")
    assert answer.status == 404

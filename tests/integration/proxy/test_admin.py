"""The admin listener: health and metrics inside, and none of it on the public port (see test_refusals)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.proxy import CHAT, ask
from tests.support.raw_http import fetch
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_is_healthy_and_ready(proxy: Process) -> None:
    admin = proxy.announced["admin_url"]
    assert (await fetch(admin, "GET", "/healthz")).json() == {"status": "ok"}
    ready = await fetch(admin, "GET", "/readyz")
    assert (ready.status, ready.json()["status"]) == (200, "ok")


async def test_metrics_can_be_scraped_and_do_not_grow_with_models(proxy: Process, records: Records) -> None:
    admin = proxy.announced["admin_url"]

    async def families() -> int:
        answer = await fetch(admin, "GET", "/metrics")
        assert answer.status == 200
        parsed = list(text_string_to_metric_families(answer.body.decode()))
        assert parsed
        return sum(len(family.samples) for family in parsed)

    marks = [marker() for _ in range(60)]
    for mark in marks[:10]:
        await ask(proxy.url, "answer", mark)
    before = await families()
    for number, mark in enumerate(marks[10:]):
        await ask(proxy.url, f"model-{number}", mark)
    await records.of_all(marks)
    assert await families() <= before + 5, "labels are bounded"


async def test_completions_are_not_served_there(proxy: Process) -> None:
    answer = await fetch(proxy.announced["admin_url"], "POST", CHAT, [], b"{}")
    assert answer.status == 404

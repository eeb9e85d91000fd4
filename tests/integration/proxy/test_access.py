"""Clients with keys, the upstream's own key, and where neither may ever be seen."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.processes import NotReadyError
from tests.support.proxy import MODELS, ask, start_proxy
from tests.support.raw_http import fetch
from tests.support.records import marker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_llm import FakeLLM
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY: Final = "weir-key-of-the-notebook-team"
UPSTREAM_KEY: Final = "sk-upstream-very-secret"
WITH_KEY: Final = [("Authorization", f"Bearer {KEY}")]


@pytest.fixture(scope="module")
def proxy_settings(tmp_path_factory: pytest.TempPathFactory, fake: FakeLLM) -> dict[str, str]:
    config = tmp_path_factory.mktemp("config") / "weir.yaml"
    config.write_text(
        json.dumps(
            {
                "upstreams": [
                    {"name": "main", "url": fake.url, "api_key_env": "MAIN_KEY", "variant": "canary"}
                ],
                "clients": [{"name": "notebooks", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
            }
        )
    )
    return {"WEIR_CONFIG": str(config), "MAIN_KEY": UPSTREAM_KEY}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer wrong")],
        [("Authorization", f"Bearer {KEY}x")],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", KEY)],
        [("Authorization", "Bearer")],
        [("Authorization", f"Bearer {hashlib.sha256(KEY.encode()).hexdigest()}")],
    ],
    ids=["none", "wrong", "longer", "basic", "bare", "empty", "its-hash"],
)
async def test_without_a_known_key_nobody_comes_in(
    fake: FakeLLM, proxy: Process, records: Records, headers: list[tuple[str, str]]
) -> None:
    mark, known = marker(), marker()
    answer = await ask(proxy.url, "answer", mark, headers=headers)
    assert answer.status == 401
    assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "invalid_api_key")
    listing = await fetch(proxy.url, "GET", MODELS, headers)
    assert listing.status == 401
    await ask(proxy.url, "answer", known, headers=WITH_KEY)
    await records.of(known)
    assert not records.has(mark), "a stranger leaves no record"
    assert fake.requests(mark) == []


async def test_a_known_key_has_a_name_in_the_record(fake: FakeLLM, proxy: Process, records: Records) -> None:
    mark = marker()
    assert (await ask(proxy.url, "answer", mark, headers=WITH_KEY)).status == 200
    record = await records.of(mark)
    assert (record.api_key_id, record.variant) == ("notebooks", "canary")


async def test_the_upstream_gets_its_own_key_and_never_the_clients(fake: FakeLLM, proxy: Process) -> None:
    mark = marker()
    await ask(proxy.url, "answer", mark, headers=WITH_KEY)
    request = await fake.request(mark)
    assert request.header("authorization") == f"Bearer {UPSTREAM_KEY}"
    assert KEY.encode() not in request.head + request.body


async def test_keys_are_nowhere_to_be_seen(proxy: Process, records: Records) -> None:
    mark = marker()
    answer = await ask(proxy.url, "answer:503", mark, headers=WITH_KEY)
    seen = repr(await records.of(mark)) + proxy.stderr + repr(answer.head)
    metrics = await fetch(proxy.announced["admin_url"], "GET", "/metrics")
    for secret in (KEY, UPSTREAM_KEY, hashlib.sha256(KEY.encode()).hexdigest()):
        assert secret not in seen
        assert secret.encode() not in metrics.body


async def test_an_open_door_to_a_paid_upstream_is_refused(tmp_path: Path) -> None:
    """A key of one's own, an address that is not loopback, and no clients: anybody could spend it."""
    settings = {
        "WEIR_PROXY_LISTEN": "0.0.0.0:0",
        "WEIR_UPSTREAM_URL": "http://127.0.0.1:9",
        "WEIR_UPSTREAM_API_KEY": UPSTREAM_KEY,
    }
    with pytest.raises(NotReadyError) as caught:
        start_proxy("redis://127.0.0.1:1/0", tmp_path, settings)
    assert "WEIR_ALLOW_ANONYMOUS" in str(caught.value)
    assert UPSTREAM_KEY not in str(caught.value)
    assert "Traceback" not in str(caught.value)

"""The built-in demo model: no upstream at all, but real streams, real timing and honest records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support import sse
from tests.support.proxy import MODELS, ask
from tests.support.raw_http import fetch
from tests.support.records import marker

if TYPE_CHECKING:
    from tests.support.processes import Process
    from tests.support.records import Records

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def proxy_settings() -> dict[str, str]:
    return {"WEIR_DEMO": "1"}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_it_answers_and_is_recorded_as_a_demo(proxy: Process, records: Records, stream: bool) -> None:
    mark = marker()
    answer = await ask(proxy.url, "demo", mark, stream=stream, max_tokens=8)
    assert answer.status == 200
    record = await records.of(mark)
    assert (record.provider, record.upstream, record.model) == ("echo", "demo", "demo")
    assert (record.outcome, record.finish_reason) == ("completed", "length")
    assert (record.completion_tokens, record.usage_source) == (8, "reported")
    assert record.prompt_tokens
    assert record.duration_ms is not None
    assert record.duration_ms > 100, "it takes its time as a model does"
    if stream:
        chunks = sse.objects(answer.body)
        assert sse.events(answer.body)[-1] == b"[DONE]"
        assert all("usage" not in chunk for chunk in chunks)
        assert record.time_to_first_token_ms is not None
        assert 0 < record.time_to_first_token_ms < record.duration_ms
    else:
        assert answer.json()["usage"]["completion_tokens"] == 8


async def test_usage_comes_when_asked_for(proxy: Process) -> None:
    answer = await ask(
        proxy.url, "demo", marker(), stream=True, stream_options={"include_usage": True}, max_tokens=3
    )
    last = sse.objects(answer.body)[-1]
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)


async def test_the_only_model_is_demo(proxy: Process) -> None:
    listing = await fetch(proxy.url, "GET", MODELS)
    assert [model["id"] for model in listing.json()["data"]] == ["demo"]
    answer = await ask(proxy.url, "gpt-4", marker())
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")

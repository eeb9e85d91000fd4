from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from weir.metrics_api.scrape import scraper as module
from weir.metrics_api.scrape.scraper import Scraper, variant_of

if TYPE_CHECKING:
    from tests.support.fixtures import HeldClock

GOOD = "# TYPE up gauge\nup 1\nup_total 2\n"


def answer(request: httpx.Request) -> httpx.Response:
    """The targets: the path says how one behaves."""
    match request.url.path:
        case "/good":
            return httpx.Response(200, text=GOOD)
        case "/large":
            return httpx.Response(200, content=b"#" * 5000)
        case "/moved":
            return httpx.Response(302, headers={"Location": "http://elsewhere/good"})
        case "/garbage":
            return httpx.Response(200, text="this is { not metrics")
        case "/slow":
            raise httpx.ReadTimeout("slow")
        case _:
            raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("good", None),
        ("large", "answered more than 4096 bytes"),
        ("moved", "answered 302"),
        ("garbage", ""),
        ("slow", "slow"),
        ("away", "refused"),
    ],
)
async def test_a_target_shows_how_it_is(
    clock: HeldClock, monkeypatch: pytest.MonkeyPatch, path: str, error: str | None
) -> None:
    monkeypatch.setattr(module, "LARGEST_BYTES", 4096)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        scraper = Scraper([f"http://u:secret@host/{path}", "http://host/good"], 1.0, clock, client)
        assert scraper.states()[0]["healthy"] is None
        await scraper.scrape()
        state, other = scraper.states()
    assert state["healthy"] is (error is None)
    assert state["samples"] == (2 if error is None else None)
    assert error is None or error in state["error"]
    assert state["last_scrape"] == clock.now_us() // 1000
    assert "secret" not in str(state)
    assert other["healthy"] is True, "one bad target harms no other"


@pytest.mark.parametrize(
    ("url", "variant"),
    [
        ("http://vllm:8000/metrics", "production"),
        ("http://vllm-canary:8000/metrics", "canary"),
        ("http://vllm:8000/TEST/metrics", "canary"),
    ],
)
def test_the_variant_is_read_off_the_url(url: str, variant: str) -> None:
    assert variant_of(url) == variant

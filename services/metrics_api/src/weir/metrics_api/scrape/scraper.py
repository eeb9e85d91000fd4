"""Fetching of Prometheus targets: each on its own, within limits of time and size, without redirects."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.servicekit.clock import Clock

LARGEST_BYTES: Final = 8 * 1024 * 1024
CANARY_WORDS: Final = ("test", "canary")


@dataclass(slots=True)
class TargetState:
    """A target as `/api/config` shows it."""

    url: str
    variant: str
    healthy: bool | None = None
    """None before the first scrape."""
    last_scrape: int | None = None
    """Unix ms of the last attempt."""
    duration_ms: float | None = None
    samples: int | None = None
    error: str | None = None


class TargetError(Exception):
    """The target answered, but not with metrics."""


def variant_of(url: str) -> str:
    """The variant a target belongs to, read off its URL."""
    return "canary" if any(word in url.lower() for word in CANARY_WORDS) else "production"


class Scraper:
    """Knows the targets and how they are."""

    def __init__(
        self, targets: Sequence[str], timeout: float, clock: Clock, client: httpx.AsyncClient
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._clock = clock
        self._states = {url: TargetState(mask_url(url), variant_of(url)) for url in targets}

    def states(self) -> list[dict[str, Any]]:
        """Each target as `/api/config` shows it."""
        return [asdict(state) for state in self._states.values()]

    async def scrape(self) -> None:
        """Ask every target once, all at the same time."""
        await asyncio.gather(*(self._scrape(url, state) for url, state in self._states.items()))

    async def _scrape(self, url: str, state: TargetState) -> None:
        start = self._clock.monotonic()
        state.last_scrape = self._clock.now_us() // 1000
        try:
            async with asyncio.timeout(self._timeout):
                text = await self._fetch(url)
            state.samples = await asyncio.to_thread(_count_samples, text)
        except TimeoutError:
            state.healthy, state.error = False, f"no answer within {self._timeout:g} s"
        except (httpx.HTTPError, TargetError, ValueError) as error:
            state.healthy, state.error = False, f"{error}"[:200] or type(error).__name__
        else:
            state.healthy, state.error = True, None
        state.duration_ms = round((self._clock.monotonic() - start) * 1000, 3)

    async def _fetch(self, url: str) -> str:
        async with self._client.stream("GET", url, headers={"Accept": "text/plain"}) as response:
            if response.status_code != HTTPStatus.OK:
                raise TargetError(f"answered {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_BYTES:
                    raise TargetError(f"answered more than {LARGEST_BYTES} bytes")
        return body.decode("utf-8", errors="replace")


def _count_samples(text: str) -> int:
    return sum(len(family.samples) for family in text_string_to_metric_families(text))

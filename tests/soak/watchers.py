"""People at the dashboard: some listen to live events, some ask, one sends what nobody should."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from tests.support.raw_http import Connection, IncompleteAnswerError, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fault.ledger import Ledger

_PAUSE_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 40.0
"""A heartbeat comes every 15 s."""
JSON: Final = ("Content-Type", "application/json")
QUESTIONS: Final = (
    "/api/requests?limit=50",
    "/api/requests?range=7d&user=user-7",
    "/api/series?metrics=requests,latency_p95&range=7d&by=model",
    "/api/summary?range=1h&by=model",
    "/api/series?metrics=requests,ttft_p95&range=1h",
    "/api/metrics?range=5m",
    "/api/pipeline",
    "/api/system",
)
GRAPHQL: Final = {"query": "{ requests(limit: 5) { items { model outcome duration_ms } } }"}
_REFUSED: Final = frozenset({*range(400, 500), 505})
"""505 is the answer to a version that is none of ours."""
HARM: Final = (
    b"GET /api/%2e%2e/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /api/status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"\x16\x03\x01garbage\r\n\r\n",
)


class Watchers:
    """They go through the gateway; `excuse`: whether the metrics API or Redis was away since a moment."""

    def __init__(self, ledger: Ledger, url: Callable[[], str], excuse: Callable[[float], bool]) -> None:
        self._ledger = ledger
        self._url = url
        self._excuse = excuse
        self.messages = 0
        self.answers = 0
        self.refusals = 0

    async def listen(self) -> None:
        """To live events, and again from where it was after each end."""
        last = ""
        while True:
            began = asyncio.get_running_loop().time()
            headers = [("Last-Event-ID", last)] if last else []
            try:
                async with await Connection.open(self._url()) as connection:
                    await connection.request("GET", "/api/events?topics=requests,metrics", headers)
                    head = await connection.head(deadline=_SILENCE_SECONDS)
                    if head.status != 200:
                        self._complain(began, f"live events: {head.status}")
                    parts = connection.parts(head, method="GET")
                    while True:
                        async with asyncio.timeout(_SILENCE_SECONDS):
                            part = await anext(parts)
                        began = asyncio.get_running_loop().time()
                        for line in part.splitlines():
                            if line.startswith(b"id: "):
                                last = line.removeprefix(b"id: ").decode()
                                self.messages += 1
            except (OSError, IncompleteAnswerError, StopAsyncIteration) as error:
                self._complain(began, f"live events ended: {error!r}")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def ask(self) -> None:
        """All questions in turn."""
        while True:
            for question in QUESTIONS:
                await self._question("GET", question)
                await asyncio.sleep(_PAUSE_SECONDS)
            await self._question("POST", "/graphql", json.dumps(GRAPHQL).encode())

    async def harm(self) -> None:
        """What the gateway must refuse."""
        while True:
            for message in HARM:
                began = asyncio.get_running_loop().time()
                try:
                    async with await Connection.open(self._url()) as connection:
                        await connection.send(message)
                        head = await connection.head()
                    self.refusals += 1
                    if head.status not in _REFUSED:
                        self._complain(began, f"{message[:60]!r} was answered {head.status}")
                except (OSError, IncompleteAnswerError) as error:
                    self._complain(began, f"{message[:60]!r}: {error!r}")
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _question(self, method: str, target: str, body: bytes | None = None) -> None:
        began = asyncio.get_running_loop().time()
        try:
            answer = await fetch(self._url(), method, target, [JSON], body)
        except (OSError, IncompleteAnswerError) as error:
            self._complain(began, f"{target}: {error!r}")
            return
        self.answers += 1
        if answer.status != 200:
            self._complain(began, f"{target}: {answer.status} {answer.body[:200]!r}")

    def _complain(self, since: float, what: str) -> None:
        if not self._excuse(since):
            self._ledger.complain(f"at the dashboard: {what}")

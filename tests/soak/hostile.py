"""Clients that mean harm. Each does one thing, again and again; none may get more than a refusal."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from tests.fault.ledger import CRASHED
from tests.support.proxy import CHAT, completion
from tests.support.raw_http import Connection, IncompleteAnswerError, request_bytes

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.fault.ledger import Ledger

PATIENCE_SECONDS: Final = 40.0
"""The proxy has ended every one of these connections by then: four times what it allows a head."""
_PAUSE_SECONDS: Final = 0.5
_DRIP_SECONDS: Final = 1.0
_REFUSED: Final = range(400, 500)


class Hostile:
    """One of them. `excuse`: whether a proxy has died since a moment, so that anything may have happened."""

    def __init__(
        self,
        ledger: Ledger,
        url: Callable[[], str],
        excuse: Callable[[float], bool],
        source: random.Random,
        name: str,
    ) -> None:
        self._ledger = ledger
        self._url = url
        self._excuse = excuse
        self._source = source
        self._name = name
        self._number = 0
        self.done = 0

    async def run(self, manner: Callable[[Hostile], Awaitable[None]]) -> None:
        """Until cancelled."""
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await manner(self)
            except (OSError, IncompleteAnswerError):
                pass  # to be thrown out is what they ask for
            except (TimeoutError, AssertionError) as error:
                if not self._excuse(began):
                    self._ledger.complain(f"hostile client {self._name}: {error!r}")
            self.done += 1
            await asyncio.sleep(self._source.uniform(0, _PAUSE_SECONDS))

    # -- what they do

    async def slow_head(self) -> None:
        """A header a second, without end."""
        async with await Connection.open(self._url()) as connection:
            await connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
            for number in range(round(PATIENCE_SECONDS / _DRIP_SECONDS)):
                await connection.send(b"X-%d: y\r\n" % number)
                await asyncio.sleep(_DRIP_SECONDS)
        raise AssertionError("a head that never ends was waited for")

    async def half_open(self) -> None:
        """Half a head, then silence."""
        async with await Connection.open(self._url()) as connection:
            await connection.send(b"POST /v1/chat/comp")
            await connection.ended(deadline=PATIENCE_SECONDS)

    async def reset(self) -> None:
        """A request that is broken off at any byte with a RST."""
        connection = await Connection.open(self._url())
        mark = self._mark()
        body = json.dumps(completion("answer")).encode()
        whole = request_bytes("x", "POST", CHAT, [("x-request-id", mark)], body)
        await connection.send(whole[: self._source.randint(0, len(whole))])
        connection.reset()
        self._ledger.unknown(
            mark, self._name, None, frozenset({"cancelled", "completed", "rejected"}) | CRASHED
        )

    async def garbage(self) -> None:
        """Bytes that are no HTTP."""
        async with await Connection.open(self._url()) as connection:
            await connection.send(self._source.randbytes(self._source.randint(1, 2000)) + b"\r\n\r\n")
            connection.half_close()
            said = await connection.ended(deadline=PATIENCE_SECONDS)
            assert said == b"" or said.startswith(b"HTTP/1.1 4"), said[:100]

    async def smuggler(self) -> None:
        """Both framings, heads that are too large, paths that are not public: refused each time."""
        head = self._source.choice(
            [
                (
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
                ),
                b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 70_000 + b"\r\n\r\n",
                b"GET /v1/../metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
                b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n",
            ]
        )
        async with await Connection.open(self._url()) as connection:
            await connection.send(head)
            answered = await connection.head(deadline=PATIENCE_SECONDS)
            assert answered.status in _REFUSED, answered

    async def slow_body(self) -> None:
        """A body that comes a byte a second."""
        mark = self._mark()
        refused = frozenset({"rejected", "cancelled", "client_error"}) | CRASHED
        self._ledger.unknown(mark, self._name, None, refused)
        async with await Connection.open(self._url()) as connection:
            headers = [("x-request-id", mark), ("Content-Length", "1000")]
            await connection.send(request_bytes("x", "POST", CHAT, headers))
            for _ in range(round(PATIENCE_SECONDS / _DRIP_SECONDS)):
                await connection.send(b"{")
                await asyncio.sleep(_DRIP_SECONDS)
        raise AssertionError("a body that never comes was waited for")

    async def slow_reader(self) -> None:
        """A long stream that nobody reads, and then nobody wants."""
        mark = self._mark()
        left = frozenset({"completed", "cancelled", "truncated"}) | CRASHED
        self._ledger.unknown(mark, self._name, None, left)
        connection = await Connection.open(self._url())
        try:
            connection.stop_reading()
            body = json.dumps(completion("huge", stream=True)).encode()
            await connection.request("POST", CHAT, [("x-request-id", mark)], body)
            await asyncio.sleep(self._source.uniform(0.1, 5.0))
        finally:
            connection.reset()

    def _mark(self) -> str:
        self._number += 1
        return f"hostile-{self._name}-{self._number}"


MANNERS: Final = (
    Hostile.slow_head,
    Hostile.half_open,
    Hostile.reset,
    Hostile.garbage,
    Hostile.smuggler,
    Hostile.slow_body,
    Hostile.slow_reader,
)

"""Clients under load, and a ledger of what they were answered."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.support.proxy import CHAT, completion
from tests.support.raw_http import Connection, IncompleteAnswerError
from tests.support.records import marker
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class Ledger:
    """Plain and streamed completions without pause. A connection that breaks is opened again."""

    def __init__(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.whole: list[str] = []
        """Marks of the requests whose answer came whole."""
        self.request_ids: list[str] = []
        """The proxy's ids of the same requests."""
        self.broken: list[str] = []
        """Marks of the requests that got no answer, or half of one."""
        self._url = url
        self._headers = headers
        self._stopped = False

    async def load(self, clients: int, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Let this many clients ask until `meanwhile` has ended."""
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(number))
            try:
                await meanwhile()
            finally:
                self._stopped = True

    async def more(self, count: int) -> None:
        """Wait for this many more whole answers."""
        goal = len(self.whole) + count

        async def reached() -> bool:
            return len(self.whole) >= goal

        await eventually(reached, f"{count} more whole answers", deadline=30)

    async def _client(self, number: int) -> None:
        while not self._stopped:
            try:
                async with await Connection.open(self._url) as connection:
                    while not self._stopped:
                        await self._one(connection, stream=(number + len(self.whole)) % 2 == 0)
            except (ConnectionError, IncompleteAnswerError):
                await asyncio.sleep(0.005)

    async def _one(self, connection: Connection, *, stream: bool) -> None:
        mark = marker()
        body = json.dumps(completion("answer", mark, stream=stream)).encode()
        try:
            await connection.request("POST", CHAT, [("x-request-id", mark), *self._headers], body)
            answer = await connection.answer()
        except (ConnectionError, IncompleteAnswerError):
            self.broken.append(mark)
            raise
        assert answer.status == 200
        self.whole.append(mark)
        self.request_ids.append(answer.request_id)

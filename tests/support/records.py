"""The records that the proxy put into Redis, as a consumer of the stream sees them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final, cast
from uuid import uuid4

from weir.events import RequestEvent, decode, encode
from weir.events.stream import FIELD, REQUESTS

if TYPE_CHECKING:
    from redis.asyncio import Redis

_Entries = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]


_MARK: Final = "test-"


def marker() -> str:
    """A name that occurs nowhere else, to be sent once as `x-request-id` and found again in its record."""
    return f"{_MARK}{uuid4().hex}"


class Records:
    """All records since the stream began, read as they come."""

    def __init__(self, redis: Redis, *, repeats_allowed: bool = False) -> None:
        """`repeats_allowed`: after a restart of Redis the proxy sends again what may have been lost."""
        self._repeats_allowed = repeats_allowed
        self.events: list[RequestEvent] = []
        self._redis = redis
        self._last: bytes | str = "0-0"

    async def of(self, client_request_id: str, deadline: float = 5.0) -> RequestEvent:
        """The record of the request that was sent with this `x-request-id`, as soon as it is there.

        Raises:
            AssertionError: it does not come, or comes more than once.
        """
        (event,) = await self.of_all([client_request_id], deadline)
        return event

    async def of_all(self, client_request_ids: list[str], deadline: float = 5.0) -> list[RequestEvent]:
        """The records of all these requests, in their order.

        Raises:
            AssertionError: one does not come, or comes more than once.
        """
        end = time.monotonic() + deadline
        wanted = set(client_request_ids)
        while missing := wanted - {event.client_request_id for event in self.events}:
            left = end - time.monotonic()
            assert left > 0, f"{len(missing)} of {len(wanted)} records did not come, such as {min(missing)}"
            await self.read(wait=left)
        by_id = {event.client_request_id: event for event in self.events}
        self.assert_once()
        return [by_id[name] for name in client_request_ids]

    async def read(self, wait: float = 0.0) -> None:
        """Take in what has come; if there is nothing new, wait for the next one up to `wait` seconds."""
        block = max(1, int(wait * 1000)) if wait else None
        answer = await self._redis.xread({REQUESTS: self._last}, block=block)
        for _, entries in cast("_Entries", answer or []):
            for entry_id, fields in entries:
                self._last = entry_id
                self.events.append(decode(fields[FIELD.encode()]))

    def assert_once(self) -> None:
        """No request has two records, or only copies of the same one where repeats are allowed."""
        events = self.events
        if self._repeats_allowed:
            events = list({encode(event): event for event in events}.values())
        names = Counter(event.request_id for event in events)
        sent = [event.client_request_id or "" for event in events]
        names.update(name for name in sent if name.startswith(_MARK))
        assert [name for name, times in names.items() if times > 1] == []

    def has(self, client_request_id: str) -> bool:
        return any(event.client_request_id == client_request_id for event in self.events)

"""Clients of every kind: patient ones, ones that leave, ones whose upstream misbehaves."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.fault.ledger import CRASHED, Tokens
from tests.support.proxy import CHAT, completion
from tests.support.raw_http import Connection, Head, IncompleteAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.fault.ledger import Ledger

DEADLINE_SECONDS: Final = 60.0
"""No answer takes so long, whatever else the machine does."""
_LONGEST_LIFE: Final = 40
"""Requests on one connection."""
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of request, and what becomes of it when nothing of ours breaks."""

    name: str
    weight: int
    model: str
    status: int
    outcome: str
    stream: bool = False
    tokens: Tokens | None = None
    leaves: Literal["never", "in-stream", "with-reset"] = "never"
    body: bytes | None = None
    """In place of a completion."""


KINDS: Final = (
    Kind("plain", 40, "answer", 200, "completed", tokens=Tokens(11, 7)),
    Kind("plain with cache", 8, "cached", 200, "completed", tokens=Tokens(2048, 7)),
    Kind("stream", 16, "answer", 200, "completed", stream=True, tokens=Tokens(11, 7)),
    Kind("slow stream", 10, "slow", 200, "completed", stream=True, tokens=Tokens(11, 7)),
    Kind("aborted stream", 4, "slow", 200, "cancelled", stream=True, leaves="in-stream"),
    Kind("reset connection", 3, "slow", 200, "cancelled", stream=True, leaves="with-reset"),
    Kind("refused upstream", 3, "answer:429", 429, "client_error"),
    Kind("overloaded upstream", 3, "answer:503", 503, "upstream_error"),
    Kind("upstream that resets", 3, "answer:reset-before-head", 502, "upstream_error"),
    Kind("broken stream", 3, "answer:reset", 200, "truncated", stream=True),
    Kind("early end", 3, "answer:ends-early", 200, "truncated", stream=True),
    Kind("stalled stream", 1, "slow:stall", 200, "timeout", stream=True),
    Kind("silent upstream", 1, "slow:silent", 504, "timeout"),
    Kind("broken body", 2, "", 400, "rejected", body=b'{"model": "answer", '),
)


class Clients:
    """Many clients that ask without pause for as long as there is more to ask."""

    def __init__(
        self,
        ledger: Ledger,
        url: Callable[[], str],
        excuse: Callable[[float], bool],
        *,
        seed: str,
        clients: int,
        more: Callable[[], bool],
        kinds: Sequence[Kind] = KINDS,
        pace: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`url` is asked for each connection, `more` before each request; `excuse` whether a proxy has died
        since a moment. `pace` is waited for before each request.
        """
        self._ledger = ledger
        self._url = url
        self._excuse = excuse
        self._seed = seed
        self._clients = clients
        self._more = more
        self._kinds = kinds
        self._pace = pace
        self._weights = [kind.weight for kind in kinds]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(random.Random(f"{self._seed}/{number}"), number))  # noqa: S311 - to be repeated

    async def _client(self, source: random.Random, number: int) -> None:
        while self._more():
            began = asyncio.get_running_loop().time()
            try:
                connection = await Connection.open(self._url())
            except OSError as error:
                self._ledger.refused += 1
                if not self._excuse(began):
                    self._ledger.complain(f"nobody took a connection: {error}")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                for _ in range(source.randint(1, _LONGEST_LIFE)):
                    if self._pace is not None:
                        await self._pace()
                    if not self._more() or not await self._ask(connection, source, number):
                        break
            finally:
                await connection.close()

    async def _ask(self, connection: Connection, source: random.Random, number: int) -> bool:
        """One request; whether the connection is good for another."""
        kind = source.choices(self._kinds, self._weights)[0]
        self._ledger.sent += 1
        mark = f"{self._seed}-{number}-{self._ledger.sent}"
        request = _Request(self._ledger, kind, mark, self._excuse)
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await request.run(connection, source)


class _Request:
    """One request, from its first byte to its line in the ledger."""

    def __init__(self, ledger: Ledger, kind: Kind, mark: str, excuse: Callable[[float], bool]) -> None:
        self._ledger = ledger
        self._kind = kind
        self._mark = mark
        self._excuse = excuse
        self._began = asyncio.get_running_loop().time()

    async def run(self, connection: Connection, source: random.Random) -> bool:
        kind = self._kind
        head: Head | None = None
        try:
            body = kind.body
            if body is None:
                body = json.dumps(completion(kind.model, stream=kind.stream)).encode()
            await connection.request("POST", CHAT, [("x-request-id", self._mark)], body)
            if kind.leaves == "with-reset" and source.random() < 0.5:
                connection.reset()
                return self._left(None)
            head = await connection.head(deadline=DEADLINE_SECONDS)
            if kind.leaves != "never" and head.status == kind.status:
                await anext(connection.parts(head))
                if kind.leaves == "with-reset":
                    connection.reset()
                return self._left(head)
            answer = b"".join([part async for part in connection.parts(head)])
        except (ConnectionError, IncompleteAnswerError) as error:
            return self._lost(head, error)
        return self._whole(head, answer)

    def _whole(self, head: Head, answer: bytes) -> bool:
        """The row must say what the answer said."""
        kind = self._kind
        outcome = _outcome(kind, head, answer)
        request_id = head.header("x-weir-request-id")
        if outcome is None or request_id is None:
            self._ledger.complain(f"{self._mark}, {kind.name}: {head.status} {answer[-300:]!r}")
            self._ledger.unknown(self._mark, kind.name, request_id, frozenset({kind.outcome}) | CRASHED)
            return False
        self._ledger.whole(self._mark, kind.name, request_id, outcome, kind.tokens)
        broke = kind.stream and outcome != "completed"  # the proxy may close after an error event
        return not broke and (head.header("connection") or "").lower() != "close"

    def _left(self, head: Head | None) -> bool:
        """The client left. The proxy may have been quicker, or have died before it noticed."""
        outcomes = frozenset({"cancelled", "completed"}) | CRASHED
        self._ledger.unknown(self._mark, self._kind.name, _request_id(head), outcomes, self._kind.tokens)
        return False

    def _lost(self, head: Head | None, error: Exception) -> bool:
        """The answer did not come, or not all of it: only a dead proxy excuses that."""
        kind = self._kind
        if not self._excuse(self._began):
            self._ledger.complain(f"{self._mark}, {kind.name}: the connection broke: {error!r}")
        outcomes = frozenset({kind.outcome}) | CRASHED
        self._ledger.unknown(self._mark, kind.name, _request_id(head), outcomes, kind.tokens)
        return False


def _request_id(head: Head | None) -> str | None:
    return None if head is None else head.header("x-weir-request-id")


def _outcome(kind: Kind, head: Head, answer: bytes) -> str | None:
    """The outcome that an answer of this kind tells of; None if it is not such an answer."""
    if head.status != kind.status:
        return None
    if not kind.stream or head.status != 200:
        return kind.outcome
    ended = answer.endswith(b"data: [DONE]\n\n")
    if kind.outcome == "completed":
        return kind.outcome if ended else None
    events = [event for event in answer.split(b"\n\n") if event]
    last: Any = json.loads(events[-1].removeprefix(b"data: ")) if events and not ended else {}
    timed_out = last.get("error", {}).get("code") == "upstream_timeout"
    return kind.outcome if not ended and timed_out == (kind.outcome == "timeout") else None

"""A small request of our own to an upstream, answered whole."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weir.proxy.wire.framing import Headers, ResponseHead
    from weir.proxy.wire.upstream import UpstreamPool

MAX_BYTES: Final = 4 << 20


class FetchError(Exception):
    """The upstream did not answer as hoped."""


async def fetch(pool: UpstreamPool, request: bytes, seconds: float) -> bytes:
    """The body of the upstream's answer.

    Raises:
        FetchError: no whole answer with status 200 within the time and a bound of size.
    """
    try:
        async with asyncio.timeout(seconds):
            connection = pool.take_idle() or await pool.connect()
            answer = _Answer()
            connection.send(request, answer)
            try:
                return await answer.whole
            finally:
                if not answer.is_over:  # else the connection is in the pool again, or gone
                    connection.cancel()
    except (TimeoutError, OSError) as error:
        raise FetchError(str(error) or "no answer in time") from None


class _Answer:
    """Collects what the connection receives."""

    def __init__(self) -> None:
        self.whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.is_over = False
        """The connection will say nothing more."""
        self._pieces: list[bytes] = []
        self._size = 0

    def received(self, head: ResponseHead | None, body: bytes, *, complete: bool) -> None:
        self.is_over = complete
        self._pieces.append(body)
        self._size += len(body)
        if head is not None and head.status != HTTPStatus.OK:
            self._fail(f"status {head.status}")
        elif self._size > MAX_BYTES:
            self._fail("the answer is too large")
        elif complete and not self.whole.done():
            self.whole.set_result(b"".join(self._pieces))

    def trailed(self, fields: Headers) -> None:
        """Nothing that is asked for."""

    def broken(self, reason: str, *, garbage: bool) -> None:  # noqa: ARG002 - the listener's signature
        self.is_over = True
        self._fail(reason)

    def upstream_paused(self) -> None:
        """The request is small."""

    def upstream_resumed(self) -> None:
        """As above."""

    def _fail(self, reason: str) -> None:
        if not self.whole.done():
            self.whole.set_exception(FetchError(reason))

"""One attempt at the in-process demo model: plays its script in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from weir.proxy.providers import echo
from weir.proxy.wire.framing import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weir.proxy.exchange import Exchange
    from weir.proxy.forwarding.relay import AnswerRelay


class EchoCall:
    """Hands the pieces of the script to the relay, each after its delay."""

    sent = b""
    """Nothing goes anywhere."""

    def __init__(
        self, exchange: Exchange, body: bytes, relay: AnswerRelay, monotonic: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._relay = relay
        self._monotonic = monotonic
        self._script: Iterator[tuple[float, bytes]] = (
            iter([(0.0, echo.models())])
            if exchange.endpoint.kind == "other"
            else echo.answer(body, exchange.facts, exchange.request_id)
        )
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._waiting: bytes | None = None
        """A piece that came due while the client did not read."""
        self._begun = False

    def start(self) -> None:
        self._exchange.connect_seconds = 0.0
        self._exchange.sent_at = self._monotonic()
        self._schedule()

    def send_on(self, data: bytes, *, whole: bool) -> None:
        """The script was made from the whole request."""

    def cancel(self) -> None:
        self.drop("cancelled")
        self._relay.abandoned()

    def drop(self, error: str) -> None:  # noqa: ARG002 - there is no attempt to note
        if self._timer is not None:
            self._timer.cancel()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._waiting is not None:
            piece, self._waiting = self._waiting, None
            self._play(piece)

    def _schedule(self) -> None:
        step = next(self._script, None)
        if step is None:
            self._relay.received(None, b"", self._monotonic(), complete=True)
            return
        delay, piece = step
        self._timer = asyncio.get_running_loop().call_later(delay, self._play, piece)

    def _play(self, piece: bytes) -> None:
        if self._paused:
            self._waiting = piece
            return
        head = None if self._begun else self._head(len(piece))
        self._begun = True
        self._relay.received(head, piece, self._monotonic(), complete=False)
        if not self._exchange.recorded:
            self._schedule()

    def _head(self, first_piece: int) -> ResponseHead:
        stream = self._exchange.facts.stream
        content_type = b"text/event-stream; charset=utf-8" if stream else b"application/json"
        return ResponseHead(
            status=200,
            reason=b"OK",
            headers=[(b"content-type", b"Content-Type", content_type)],
            fields={b"content-type": content_type},
            framing="chunked" if stream else "length",
            content_length=None if stream else first_piece,
        )

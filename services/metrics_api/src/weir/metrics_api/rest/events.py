"""`/api/events`: server-sent events, with resume."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from weir.metrics_api.live.frame import HEARTBEAT, RETRY, frame, gap
from weir.metrics_api.live.hub import is_id, later
from weir.metrics_api.live.listener import TOPICS, Wish
from weir.metrics_api.reports.filter import PARAMETERS, matches, parse_filter
from weir.metrics_api.reports.snapshot import variants
from weir.metrics_api.rest.context import HUB, SETTINGS, STORE, now_ms, plain
from weir.metrics_api.rest.parameters import parameters, refuse
from weir.servicekit.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from weir.metrics_api.live.hub import Hub
    from weir.metrics_api.live.listener import Listener

HEARTBEAT_SECONDS: Final = 15.0
LIFETIME_SECONDS: Final = 3600.0
"""Then the client comes back by itself and resumes: no connection grows old unnoticed."""
JITTER: Final = 0.1
"""The part of a lifetime by which it may be shorter, so that those who came together do not come back so."""
SLOW_WRITE_SECONDS: Final = 30.0
_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


async def get_events(request: web.Request) -> web.StreamResponse:
    """Stream live messages until the client leaves or its time is up."""
    wish, resume_after = _wish(request)
    hub = request.app[HUB]
    if not await hub.started(patience=5.0):
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "the live stream (Redis) is away; try again later"
        )
    listener = hub.join(wish)
    try:
        response = web.StreamResponse(headers=_HEADERS)
        first = await _connected(request, resume_after or listener.after)
        await response.prepare(request)
        await _write(response, RETRY + first)
        if resume_after is not None:
            async for data in _missed(hub, listener, resume_after):
                await _write(response, data)
        await _relay(listener, response)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # it does not read: no polite end would reach it
        raise asyncio.CancelledError from None
    finally:
        hub.leave(listener)
    return response


async def _connected(request: web.Request, identifier: str) -> bytes:
    """The first event; its id lets a client resume that has got nothing else yet."""
    names = await variants(request.app[STORE], now_ms(request.app))
    hello: dict[str, Any] = {
        "type": "connected",
        "scrape_interval": plain(request.app[SETTINGS].scrape_interval),
        "variants": names,
    }
    return frame(hello, identifier)


async def _missed(hub: Hub, listener: Listener, after: str) -> AsyncIterator[bytes]:
    """What came between the last id that the client has and the moment it joined again."""
    if not await hub.is_complete_after(after):
        yield gap(int(after.partition("-")[0]), listener.after)
    if later(listener.after, after):
        async for data in hub.missed(after, listener.after, listener.wish):
            yield data


async def _relay(listener: Listener, response: web.StreamResponse) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + LIFETIME_SECONDS * random.uniform(1 - JITTER, 1)  # noqa: S311 - not a secret
    while (left := end - loop.time()) > 0:
        frames = await listener.next(min(HEARTBEAT_SECONDS, left))
        if frames is None:
            return
        await _write(response, b"".join(frames) or HEARTBEAT)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(SLOW_WRITE_SECONDS):
        await response.write(data)


def _wish(request: web.Request) -> tuple[Wish, str | None]:
    values = parameters(request, (*PARAMETERS, "topics", "last_event_id"))
    topics = frozenset(topic for topic in values.get("topics", "metrics").split(",") if topic)
    if not topics or topics - set(TOPICS):
        refuse(f"topics={values.get('topics', '')[:80]!r} is not a list of {', '.join(TOPICS)}")
    resume_after = request.headers.get("Last-Event-ID") or values.get("last_event_id")
    if resume_after is not None and not is_id(resume_after):
        refuse("Last-Event-ID is not an id that this stream has sent; leave it out to start with now")
    wanted = parse_filter(values)
    filtered = any(name in values for name in PARAMETERS)
    return Wish(topics, (lambda row: matches(wanted, row)) if filtered else None), resume_after

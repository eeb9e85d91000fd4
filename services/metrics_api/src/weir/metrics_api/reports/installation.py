"""How Weir itself is, and how a client is pointed at it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from weir.events import Outcome
from weir.events.corridor import CorridorError
from weir.metrics_api.storage.port import Filter, StorageError, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.events.corridor import StreamState
    from weir.events.heartbeat import Heartbeat
    from weir.metrics_api.storage.port import RequestQueries, Store

DEMO_MODEL: Final = "demo"
LOOK_BACK_MS: Final = 7 * 86_400_000
"""A model that nobody has called for so long may be gone."""


class Bus(Protocol):
    """Knows the proxies and the stream between them and us."""

    async def proxies(self) -> Sequence[Heartbeat]: ...

    async def stream(self) -> StreamState: ...


async def setup(store: RequestQueries, bus: Bus, now_ms: int) -> dict[str, Any]:
    """What a client must know. Where several proxies differ, the address that most of them say."""
    beats = await _known(bus)
    addresses = Counter((beat.public_url, beat.public_port) for beat in beats if beat.public_port is not None)
    url, port = addresses.most_common(1)[0][0] if addresses else (None, None)
    demo = any(beat.demo for beat in beats)
    return {
        "base_url": None if url is None else f"{url}/v1",
        "port": port,
        "proxies": len(beats),
        "demo": demo,
        "model": await _model(store, now_ms) or (DEMO_MODEL if demo else None),
        "clients_required": any(beat.clients_required for beat in beats),
    }


async def _known(bus: Bus) -> Sequence[Heartbeat]:
    try:
        return await bus.proxies()
    except CorridorError:
        return ()


async def _model(store: RequestQueries, now_ms: int) -> str | None:
    """The model of the newest chat completion that worked, under the name that it is asked for."""
    worked = Filter(outcome=(Outcome.COMPLETED.value,), endpoint=("chat.completions",))
    page = await store.requests(Window(now_ms - LOOK_BACK_MS, now_ms + 60_000), worked, limit=1)
    return page.events[0].model_requested if page.events else None


async def system(store: Store, bus: Bus, now_ms: int) -> dict[str, Any]:
    """The proxies, the stream and the database. What does not answer is null, with the reason beside it."""
    proxies, stream, storage = await asyncio.gather(_proxies(bus, now_ms), _stream(bus), _storage(store))
    return {**proxies, **stream, **storage}


async def _proxies(bus: Bus, now_ms: int) -> dict[str, Any]:
    try:
        beats = await bus.proxies()
    except CorridorError as error:
        return {"proxies": None, "proxies_error": str(error)}
    return {"proxies": [_proxy(beat, now_ms) for beat in beats], "proxies_error": None}


def _proxy(beat: Heartbeat, now_ms: int) -> dict[str, Any]:
    return {
        "proxy_id": beat.proxy_id,
        "version": beat.version,
        "started_at": beat.started_at // 1000,
        "age_ms": max(0, now_ms - beat.sent_at // 1000),
        "workers": beat.workers,
        "in_flight": sum(load.in_flight for load in beat.variants.values()),
        "max_in_flight": beat.max_in_flight,
        "accepted": beat.accepted,
        "journaled": beat.journaled,
        "acknowledged": beat.acknowledged,
        "dropped": beat.dropped,
        "public_url": beat.public_url,
    }


async def _stream(bus: Bus) -> dict[str, Any]:
    try:
        state = await bus.stream()
    except CorridorError as error:
        return {"stream": None, "stream_error": str(error)}
    return {
        "stream": {
            "entries": state.entries,
            "unread": state.unread,
            "pending": state.pending,
            "lag_seconds": round(state.lag_seconds, 3),
            "consumers": state.consumers,
            "dead_letters": state.dead_letters,
        },
        "stream_error": None,
    }


async def _storage(store: Store) -> dict[str, Any]:
    try:
        size = await store.size()
    except StorageError as error:
        return {"storage": None, "storage_error": str(error)}
    return {
        "storage": {
            "kind": store.kind,
            "bytes": size.bytes,
            "requests": size.requests,
            "oldest_request_at": size.oldest_request_at,
        },
        "storage_error": None,
    }

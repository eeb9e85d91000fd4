"""What a proxy says of itself through Redis, so that nobody has to reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec

from weir.events.stream import HEARTBEATS, heartbeat_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis
    from redis.typing import EncodableT, FieldT

PERIOD_SECONDS: Final = 1.0
EXPIRE_SECONDS: Final = 15


class VariantLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Requests in flight of one variant on one proxy."""

    in_flight: int


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the proxy's start (`boot_id`) and gauges of this moment."""

    proxy_id: str
    boot_id: str
    version: str
    started_at: int
    """Microseconds since the Unix epoch."""
    sent_at: int
    """Microseconds since the Unix epoch."""
    workers: int
    max_in_flight: int
    """The limit of requests in flight over all workers."""
    variants: dict[str, VariantLoad]
    accepted: int
    journaled: int
    acknowledged: int
    dropped: int
    crashed: int = 0
    in_flight: int = 0
    in_journal: int = 0
    in_journal_bytes: int = 0
    """These eight as in the Account of the same `boot_id`, taken at the same moment."""
    public_url: str | None = None
    """What clients put before `/v1`; None where the proxy listens on every address and was told no name."""
    public_port: int | None = None
    """The port that it listens on."""
    demo: bool = False
    """Whether the built-in demo model answers."""
    clients_required: bool = False
    """Whether only clients with a configured key are let in."""


async def publish(redis: Redis, heartbeat: Heartbeat) -> None:
    """Write the heartbeat hash with its expiry, in one round trip."""
    key = heartbeat_key(heartbeat.proxy_id)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(key, mapping=to_hash(heartbeat))
        pipe.expire(key, EXPIRE_SECONDS)
        await pipe.execute()


async def read_all(redis: Redis) -> list[Heartbeat]:
    """The heartbeats of all proxies seen in the last `EXPIRE_SECONDS`; malformed ones are skipped."""
    beats: list[Heartbeat] = []
    keys = cast("AsyncIterator[bytes]", redis.scan_iter(match=HEARTBEATS, count=500))
    async for key in keys:
        fields = await redis.hgetall(key)
        try:
            beats.append(from_hash(cast("dict[bytes, bytes]", fields)))
        except msgspec.DecodeError:
            continue
    return beats


def to_hash(heartbeat: Heartbeat) -> dict[FieldT, EncodableT]:
    """Field by field JSON, so that `HGETALL` reads well and a newer proxy may add fields."""
    fields = msgspec.structs.asdict(heartbeat)
    return {name: msgspec.json.encode(value) for name, value in fields.items()}


def from_hash(fields: dict[bytes, bytes]) -> Heartbeat:
    """Read what `to_hash` wrote.

    Raises:
        msgspec.DecodeError: a field is missing or malformed.
    """
    try:
        values = {name.decode(): msgspec.json.decode(value) for name, value in fields.items()}
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
    return msgspec.convert(values, Heartbeat)

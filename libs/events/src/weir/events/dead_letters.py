"""Dead letters: entries that cannot be stored, put aside with their reasons until somebody decides.

Each step is one script on the server, so that a letter is in one place at any time and repeating a step does
nothing. A Cluster has the keys on several nodes and runs no script over them: there the steps follow one
another, in an order that could at worst leave a letter in two places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio import RedisCluster

from weir.events.stream import DEAD, DEAD_COUNTS, FIELD, GROUP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from redis.asyncio import Redis

KEPT: Final = 10_000
"""How many dead letters are kept, roughly; then the oldest go."""
LONGEST: Final = 256 << 10
"""Bytes kept of an entry."""
_PAGE: Final = 50
_BURY: Final = """
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'deliveries', pending[1][4], unpack(ARGV, 5))
redis.call('HINCRBY', KEYS[3], ARGV[4], 1)
return 1
"""
_REPLAY: Final = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if not found[1] then return 0 end
redis.call('XADD', KEYS[2], '*', ARGV[3], ARGV[4])
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('HINCRBY', KEYS[3], ARGV[2], -1) <= 0 then redis.call('HDEL', KEYS[3], ARGV[2]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that cannot be used, and why."""

    entry_id: bytes
    data: bytes | None
    reason: str
    life: str
    """Whose it is, where that can be told (weir.events.stream.life)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it lies there."""

    id: str
    """Its own id; the first part is when it was put aside, Unix ms."""
    entry_id: str
    """The id that the entry had in the stream."""
    reason: str
    deliveries: int | None
    """How often it had been given to a consumer."""
    life: str
    data: bytes
    is_whole: bool
    """Whether all of the entry was kept; what was cut off cannot be replayed."""

    @property
    def put_aside_at(self) -> int:
        """Unix ms."""
        return int(self.id.partition("-")[0])


async def bury(redis: Redis, stream: str, letters: Sequence[DeadLetter]) -> None:
    """Put entries of a stream aside and acknowledge them."""
    for letter in letters:
        fields = _fields(letter)
        if isinstance(redis, RedisCluster):
            await redis.xadd(DEAD, cast("Any", dict(fields)), maxlen=KEPT, approximate=True)
            await redis.hincrby(DEAD_COUNTS, letter.life, 1)
            await redis.xack(stream, GROUP, letter.entry_id)
            continue
        flat = [part for field in fields for part in field]
        arguments = (GROUP, letter.entry_id, KEPT, letter.life, *flat)
        await _run(redis, _BURY, (stream, DEAD, DEAD_COUNTS), arguments)


async def letters(redis: Redis) -> AsyncIterator[Letter]:
    """All dead letters that are there now, oldest first; one at a time, however large they are."""
    newest = cast("list[Any]", await redis.xrevrange(DEAD, count=1))
    after, last = "-", newest[0][0] if newest else "0"
    while True:
        page = cast("list[Any]", await redis.xrange(DEAD, after, last, count=_PAGE))
        for identifier, fields in page:
            yield _letter(identifier, fields)
        if len(page) < _PAGE:
            return
        after = f"({page[-1][0].decode()}"


async def replay(redis: Redis, letter: Letter, stream: str) -> bool:
    """Put the entry at the end of a stream and take the letter away. False if it was gone already."""
    if isinstance(redis, RedisCluster):
        await redis.xadd(stream, {FIELD: letter.data})
        if not await redis.xdel(DEAD, letter.id):
            return False
        await redis.hincrby(DEAD_COUNTS, letter.life, -1)
        return True
    keys, arguments = (DEAD, stream, DEAD_COUNTS), (letter.id, letter.life, FIELD, letter.data)
    return bool(await _run(redis, _REPLAY, keys, arguments))


async def drop(redis: Redis, letter: Letter) -> bool:
    """Delete it for good; it still counts as put aside. False if it was gone already."""
    return bool(await redis.xdel(DEAD, letter.id))


async def write_off(redis: Redis, life: str, count: int) -> None:
    """Records of a life that are nowhere are given up: they count as put aside and dropped."""
    await redis.hincrby(DEAD_COUNTS, life, count)


def _fields(letter: DeadLetter) -> list[tuple[str, bytes | str]]:
    data = letter.data or b""
    fields: list[tuple[str, bytes | str]] = [
        (FIELD, data[:LONGEST]),
        ("id", letter.entry_id),
        ("reason", letter.reason),
        ("life", letter.life),
    ]
    if len(data) > LONGEST:
        fields.append(("bytes", str(len(data))))
    return fields


def _letter(identifier: bytes, fields: dict[bytes, bytes]) -> Letter:
    def text(name: str) -> str:
        return fields.get(name.encode(), b"").decode(errors="replace")

    deliveries = text("deliveries")
    return Letter(
        id=identifier.decode(),
        entry_id=text("id"),
        reason=text("reason"),
        deliveries=int(deliveries) if deliveries.isdecimal() else None,
        life=text("life"),
        data=fields.get(FIELD.encode(), b""),
        is_whole=b"bytes" not in fields,
    )


async def _run(redis: Redis, script: str, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
    return await cast("Any", redis.eval(script, len(keys), *keys, *cast("Any", arguments)))

"""What an operator does with dead letters: look at them, put them back into the stream, or drop them.

What is printed says why an entry was put aside and whose it is, never what is in it.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from weir.events import dead_letters
from weir.events.reader import client
from weir.events.stream import REQUESTS
from weir.servicekit.run import StartError
from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from redis.asyncio import Redis

    from weir.events.dead_letters import Letter

LONGEST_REASON: Final = 160


@dataclass(frozen=True, slots=True)
class Wish:
    """Which dead letters: all, or those with these ids."""

    ids: Collection[str] = ()

    def has(self, letter: Letter) -> bool:
        return not self.ids or letter.id in self.ids


@dataclass(slots=True)
class Done:
    """What became of the letters that were asked for."""

    found: int = 0
    done: int = 0
    cut: int = 0
    """Not replayed, because not all of the entry was kept."""

    def missing(self, wish: Wish) -> int:
        return max(0, len(set(wish.ids)) - self.found)


async def listed(redis_url: str, *, as_json: bool) -> str:
    """The letters as a table, or as one JSON object a line.

    Raises:
        StartError: Redis does not answer.
    """
    async with _redis(redis_url) as redis:
        rows = [_row(letter) async for letter in dead_letters.letters(redis)]
    if as_json:
        return "\n".join(json.dumps(row) for row in rows)
    return _table(rows) if rows else "There are no dead letters."


async def replay(redis_url: str, wish: Wish, stream: str = REQUESTS) -> Done:
    """Put entries back into the stream, each in the same moment in which it leaves the dead letters.

    Raises:
        StartError: Redis does not answer; what was replayed before stays so.
    """
    done = Done()
    async with _redis(redis_url) as redis:
        async for letter in dead_letters.letters(redis):
            if wish.has(letter):
                done.found += 1
                if not letter.is_whole:
                    done.cut += 1
                elif await dead_letters.replay(redis, letter, stream):
                    done.done += 1
    return done


async def drop(redis_url: str, wish: Wish) -> Done:
    """Delete letters for good.

    Raises:
        StartError: Redis does not answer; what was dropped before stays so.
    """
    done = Done()
    async with _redis(redis_url) as redis:
        async for letter in dead_letters.letters(redis):
            if wish.has(letter):
                done.found += 1
                done.done += await dead_letters.drop(redis, letter)
    return done


@asynccontextmanager
async def _redis(url: str) -> AsyncGenerator[Redis]:
    redis = client(url)
    try:
        yield redis
    except (RedisError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise StartError(
            f"Redis at {mask_url(url)} does not do it: {reason}; start it, or correct REDIS_URL"
        ) from None
    finally:
        await redis.aclose()


def _row(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "put_aside_at": letter.put_aside_at,
        "from": letter.life or None,
        "deliveries": letter.deliveries,
        "bytes": len(letter.data),
        "whole": letter.is_whole,
        "reason": _printable(letter.reason),
        "entry_id": letter.entry_id,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    head = ("ID", "PUT ASIDE (UTC)", "FROM", "TRIES", "BYTES", "REASON")
    cells = [
        (
            row["id"],
            f"{datetime.fromtimestamp(row['put_aside_at'] / 1000, UTC):%Y-%m-%d %H:%M:%S}",
            row["from"] or "-",
            "-" if row["deliveries"] is None else str(row["deliveries"]),
            str(row["bytes"]) + ("" if row["whole"] else "+"),
            row["reason"],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *cells]) for column in range(len(head) - 1)]
    lines = [
        "  ".join([*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[-1]])
        for line in [head, *cells]
    ]
    count = f"{len(rows)} dead letter{'' if len(rows) == 1 else 's'}"
    return "\n".join([*lines, count])


def _printable(text: str) -> str:
    """Nothing that a terminal would obey."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= LONGEST_REASON else f"{plain[: LONGEST_REASON - 1]}…"

"""A long past to ask questions about: ten models over thirty days, written with the stores' own code."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import msgspec
from tests.support.traffic import MODELS, event

from weir.metrics_api.metrics import rollup
from weir.metrics_api.storage import batch_sums
from weir.metrics_api.storage.port import SECONDS
from weir.metrics_api.storage.postgres import draft as drafting
from weir.metrics_api.storage.postgres import writing as postgres
from weir.metrics_api.storage.rollup_tables import tables_of
from weir.metrics_api.storage.sqlite import writing as sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weir.events import RequestEvent
    from weir.metrics_api.storage.port import Level, Store

DAYS: Final = 30
HOUR: Final = 3600
MICRO: Final = 1_000_000
PATTERNS: Final = 20_000
"""Different requests that the past is made of; each comes again with another time and id."""
KEPT_SECONDS: Final[dict[Level, int]] = {"5s": 86400, "1m": 7 * 86400, "1h": 1 << 40, "1d": 1 << 40}
JOURNAL: Final = "bench-1"
_EXTRA: Final = {
    "llama3.1:8b": ("llama3.1:70b", "gemma3:12b"),
    "qwen3:32b": ("qwen3:14b",),
    "gpt-4o-mini": ("gpt-4o",),
}


def patterns(count: int = PATTERNS, seed: int = 1) -> list[RequestEvent]:
    """Plausible requests of ten models."""
    source = random.Random(seed)  # noqa: S311 - made-up traffic
    found: list[RequestEvent] = []
    for _ in range(count):
        made = event(0, source)
        name = source.choice((made.model, *_EXTRA.get(str(made.model), ())))
        # usage is kept as it came only where it says more than the fields do: the proxy leaves this one out
        found.append(msgspec.structs.replace(made, model=name, model_requested=name, usage_raw=None))
    assert len(MODELS) + sum(map(len, _EXTRA.values())) == 10
    return found


def at_moments(moments: Iterable[int], made: list[RequestEvent], source: random.Random) -> list[RequestEvent]:
    """One request for each moment (µs since the epoch)."""
    bits = source.getrandbits
    return [
        msgspec.structs.replace(
            made[bits(30) % len(made)],
            started_at=moment,
            request_id=_id(moment, bits(74)),
            journal=JOURNAL,
            sequence=number,
        )
        for number, moment in enumerate(moments, 1)
    ]


def _id(moment: int, number: int) -> str:
    """A UUIDv7: as the proxy makes them, but quicker."""
    text = f"{moment // 1000:012x}7{number >> 62:03x}{0b10 << 62 | number & (1 << 62) - 1:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


async def fill(store: Store, count: int, say: Callable[[int], None]) -> None:
    """`count` requests, spread evenly over the last DAYS, an hour in each transaction.

    Roll-up buckets that retention would have deleted by now are not written in the first place.
    """
    made, source = patterns(), random.Random(2)  # noqa: S311 - made-up traffic
    end = int(time.time())
    hours = DAYS * 24
    done = 0
    for hour in range(hours):
        start = end - (hours - hour) * HOUR
        upto = count * (hour + 1) // hours
        moments = sorted(start * MICRO + source.randrange(HOUR * MICRO) for _ in range(upto - done))
        with _only_what_is_kept(end - start - HOUR):
            await store.add(at_moments(moments, made, source))
        done = upto
        say(done)
    await store.tidy()


def _only_what_is_kept(age: int) -> ExitStack:
    """Fold into the finest buckets of this age (s) that are kept, and write none that are finer."""
    kept: list[Level] = [level for level, seconds in KEPT_SECONDS.items() if age < seconds]
    tables = {table for level in kept for table in (*tables_of(level), "rollup_6h_brief")}
    step = SECONDS[kept[0]]

    def rollups(cells: Any, ids: Any) -> Any:
        found = batch_sums.rollups(cells, ids)
        return {table: cells if table in tables else {} for table, cells in found.items()}

    def snapshot_sums(cells: Any) -> Any:
        sums = batch_sums.snapshot_sums(cells)
        return sums._replace(buckets={level: found for level, found in sums.buckets.items() if level in kept})

    parts: dict[str, Any] = {"rollups": rollups, "snapshot_sums": snapshot_sums}
    stack = ExitStack()
    stack.enter_context(patch.multiple(sqlite, Folding=partial(rollup.Folding, step), **parts))
    stack.enter_context(patch.multiple(postgres, **parts))
    stack.enter_context(patch.multiple(drafting, Folding=partial(rollup.Folding, step)))
    return stack

"""A snapshot that several processes counted apart, put together."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from weir.metrics_api.metrics import histogram
from weir.metrics_api.metrics.snapshot import Delta, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weir.metrics_api.storage.postgres.driver import Record

GAUGES: Final = ("concurrent_requests", "max_workers", "sampled_at")
_SIZES: Final = ("request_bytes", "request_bytes_n", "response_bytes", "response_bytes_n")


class MergedSnapshot(NamedTuple):
    """All shards of one bucket and variant. `gauges` are the newest, with their time; None when unknown."""

    bucket: int
    variant: str
    delta: Delta
    gauges: tuple[int | None, int | None, int | None]


def merged_shards(rows: Iterable[Record]) -> list[MergedSnapshot]:
    """`rows` are in order of bucket and variant."""
    groups = groupby(rows, key=lambda row: (row["bucket"], row["variant"]))
    return [_merged(bucket, variant, list(shards)) for (bucket, variant), shards in groups]


def _merged(bucket: int, variant: str, shards: Sequence[Record]) -> MergedSnapshot:
    delta = Delta(
        Totals(*(sum(row[name] for row in shards) for name in Totals._fields)),
        sum(row["requests"] for row in shards),
        sum(row["errors"] for row in shards),
        *(sum(row[name] for row in shards) for name in _SIZES),
        latency=histogram.merge(row["latency"] for row in shards),
        status_codes=summed(row["status_codes"] for row in shards),
    )
    newest = max(shards, key=lambda row: row["sampled_at"] or 0)
    return MergedSnapshot(bucket, variant, delta, (newest[GAUGES[0]], newest[GAUGES[1]], newest[GAUGES[2]]))


def summed(maps: Iterable[str]) -> dict[str, int]:
    """The sum of JSON maps from codes to counts."""
    counts: dict[str, int] = {}
    for text in maps:
        for code, count in orjson.loads(text).items():
            counts[code] = counts.get(code, 0) + count
    return counts

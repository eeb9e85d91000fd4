"""The roll-up tables, and which of them answer a question.

Beside the sums of every combination of dimensions there are brief ones, in which requests are told apart by
`dimension.BRIEF` alone: what is asked most, and a fraction of the rows where there are many projects, keys
and upstreams. Of these there are buckets of 6 h, too, so that a month is read at a glance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weir.metrics_api.metrics import dimension
from weir.metrics_api.storage.port import SECONDS
from weir.metrics_api.storage.position import BUCKET_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weir.metrics_api.storage.port import Filter, Level, RollupQuestion, Segment

LEVELS: Final[tuple[Level, ...]] = ("5s", "1m", "1h", "1d")
"""Of the full tables, finest first."""
BRIEF_SECONDS: Final = {"1m": 60, "1h": 3600, "6h": 21600, "1d": 86400}
"""Of the brief tables, finest first."""
TABLES: Final[dict[str, int]] = {
    **{f"rollup_{level}": SECONDS[level] for level in LEVELS},
    **{f"rollup_{level}_brief": seconds for level, seconds in BRIEF_SECONDS.items()},
}
"""Every roll-up table with the width of its buckets. Their places are the levels of staged_cells."""
_WIDE: Final = 21600
_FULL_FIELDS: Final = ("project", "api_key_id", "upstream")
"""What a filter may name that brief tables lack."""


class Part(NamedTuple):
    """Rows of one table: those with an id from `first` up to `end`; `sign` as that of a Segment."""

    table: str
    first: int
    end: int
    sign: int = 1


def tables_of(level: Level) -> tuple[str, ...]:
    """The full table of a level and the brief one, where there is one."""
    tables = (f"rollup_{level}", f"rollup_{level}_brief")
    return tuple(table for table in tables if table in TABLES)


def is_brief(wanted: Filter) -> bool:
    """Whether brief tables know all that a filter names."""
    return not any(getattr(wanted, name) for name in _FULL_FIELDS)


def parts(question: RollupQuestion) -> list[Part]:
    """Where the sums of a question are."""
    brief = is_brief(question.filter) and dimension.BRIEF.issuperset(question.group_by)
    return [part for segment in question.segments for part in _parts(segment, question.slot, brief=brief)]


def _parts(segment: Segment, slot: tuple[float, float] | None, *, brief: bool) -> Iterator[Part]:
    level, start, end = segment.level, segment.start, segment.end
    if not brief or level not in BRIEF_SECONDS:
        yield _part(f"rollup_{level}", start, end, segment)
    elif level != "1h" or not _holds_wide_buckets(slot):
        yield _part(f"rollup_{level}_brief", start, end, segment)
    else:
        first, last = -(-start // _WIDE) * _WIDE, end // _WIDE * _WIDE
        if first >= last:
            first = last = end
        for table, begin, until in (
            ("rollup_1h_brief", start, first),
            ("rollup_6h_brief", first, last),
            ("rollup_1h_brief", last, end),
        ):
            if begin < until:
                yield _part(table, begin, until, segment)


def _holds_wide_buckets(slot: tuple[float, float] | None) -> bool:
    """Whether no bucket of 6 h reaches over the end of a time slot."""
    return slot is None or (slot[0] % _WIDE == 0 and slot[1] % _WIDE == 0)


def _part(table: str, start: int, end: int, of: Segment) -> Part:
    return Part(table, start << BUCKET_BITS, end << BUCKET_BITS, of.sign)

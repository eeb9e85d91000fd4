"""The stretch of time a question is about, and the buckets that answer it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from weir.metrics_api.storage.port import SECONDS, Level, Segment, Window
from weir.servicekit.values import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weir.metrics_api.storage.port import Kept

SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 90 * 86400
LATEST_MS: Final = 1 << 42
"""The year 2109: a `to` beyond it is a mistake, seconds or µs for ms."""
STEPS: Final = (5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
MOST_POINTS: Final = 400
_COARSEST_FIRST: Final[tuple[Level, ...]] = ("1d", "1h", "1m", "5s")
_LED_UP_TO: Final[tuple[tuple[Level, Level], ...]] = (("5s", "1m"), ("1m", "1h"))
_RANGE: Final = re.compile(r"[0-9]{1,6}[smhd]")


class InvalidRangeError(ValueError):
    """The text is not a range of time; the message says what to write."""


def parse_range(text: str) -> int:
    """Seconds of a range such as `15m`, `24h` or `7d`.

    Raises:
        InvalidRangeError: it is not one, or not between 1m and 90d.
    """
    hint = "write a duration from 1m to 90d, such as 5m, 15m, 1h, 6h, 24h, 7d or 30d"
    if not _RANGE.fullmatch(text):
        raise InvalidRangeError(f"range={text!r} is not a range; {hint}")
    seconds = round(parse_duration(text))
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise InvalidRangeError(f"range={text!r} is out of bounds; {hint}")
    return seconds


def parse_window(range_: str | None, start: str | None, end: str | None, now_ms: int) -> Window:
    """The window of `range`, or of `from` and `to`.

    Raises:
        InvalidRangeError: it makes no sense; the message says what to write.
    """
    if start is None and end is None:
        seconds = parse_range("1h" if range_ is None else range_)
        return Window(now_ms - seconds * 1000, now_ms)
    if range_ is not None:
        raise InvalidRangeError(
            "range together with from and to is ambiguous; give either range or from and to"
        )
    if start is None or end is None:
        raise InvalidRangeError("from and to belong together; give both, as Unix milliseconds, or give range")
    window = Window(_moment("from", start), _moment("to", end))
    if window.start >= window.end:
        raise InvalidRangeError(f"from={start} is not before to={end}; swap them or widen the range")
    if window.seconds > LONGEST_SECONDS:
        raise InvalidRangeError(f"from={start} to={end} is longer than 90 days; ask for a shorter stretch")
    return window


def _moment(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > LATEST_MS:
        raise InvalidRangeError(f"{name}={text[:40]!r} is not a time; write Unix milliseconds")
    return int(text)


def segments(
    window: Window, now_ms: int, retention: Mapping[Kept, float], coarsest: Level = "1d"
) -> tuple[Segment, ...]:
    """The fewest buckets that cover the window: days inside, hours, minutes and 5 s at its edges.

    An edge is made of finer buckets inside it, or of a whole bucket less the finer ones outside: of an hour
    that has just begun there are no others yet. So a window that ends now costs nothing at its end.

    `coarsest`: no wider buckets than these, for answers that are split by time.

    Where fine buckets are no longer kept, an edge is widened to the coarser bucket around it.
    """
    start, end = covered(window, now_ms, retention)
    widest = max(SECONDS[coarsest], SECONDS[finest_kept(window.start / 1000, now_ms, retention)])
    levels: tuple[Level, ...] = tuple(level for level in _COARSEST_FIRST if SECONDS[level] <= widest)
    kept_from: dict[Level, float] = {level: now_ms / 1000 - retention[level] for level in levels}
    return tuple(_cover(start, end, levels, _Kept(kept_from, now_ms / 1000)))


def covered(window: Window, now_ms: int, retention: Mapping[Kept, float]) -> tuple[int, int]:
    """From where to where (s) the finest buckets reach that are kept around the window's edges."""
    start, end = window.start / 1000, window.end / 1000
    first = finest_kept(start, now_ms, retention)
    last = _finest_at_end(end, now_ms, retention)
    return floor(start, SECONDS[first]), ceil(end, SECONDS[last])


def floor(moment: float, width: int) -> int:
    """The start of the bucket around a moment (s)."""
    return int(moment // width) * width


def ceil(moment: float, width: int) -> int:
    """The end of the last bucket that starts before a moment (s)."""
    return -floor(-moment, width)


def finest_kept(moment: float, now_ms: int, retention: Mapping[Kept, float]) -> Level:
    """The finest level whose bucket around a moment (s) is still there."""
    for level in ("5s", "1m"):
        if floor(moment, SECONDS[level]) >= now_ms / 1000 - retention[level]:
            return level
    return "1h"


def _finest_at_end(moment: float, now_ms: int, retention: Mapping[Kept, float]) -> Level:
    """The finest level that can lead up to a moment (s): kept from the start of the wider bucket on."""
    for level, wider in _LED_UP_TO:
        if floor(moment, SECONDS[wider]) >= now_ms / 1000 - retention[level]:
            return level
    return "1h"


class _Kept(NamedTuple):
    """Since when (s) each level has all its buckets, and when they end: now."""

    since: Mapping[Level, float]
    now: float

    def has(self, found: Sequence[Segment]) -> bool:
        return all(part.start >= self.since[part.level] for part in found)

    def cost(self, found: Sequence[Segment]) -> float:
        """How many buckets are read."""
        return sum(max(0.0, min(part.end, self.now) - part.start) / SECONDS[part.level] for part in found)


def _cover(start: int, end: int, levels: tuple[Level, ...], kept: _Kept) -> list[Segment]:
    """Buckets of the first level, and finer ones at both edges, that add up to [start, end)."""
    if start >= end:
        return []
    level, finer = levels[0], levels[1:]
    width = SECONDS[level]
    if not finer:
        return [Segment(level, floor(start, width), ceil(end, width))]
    inner, outer = ceil(start, width), floor(start, width)
    first, at_start = _edge(_cover(start, inner, finer, kept), inner, (outer, start), outer, finer, kept)
    inner, outer = floor(end, width), ceil(end, width)
    last, at_end = _edge(_cover(inner, end, finer, kept), inner, (end, outer), outer, finer, kept)
    if first >= last:
        return _cover(start, end, finer, kept)
    return [*at_start, Segment(level, first, last), *at_end]


def _edge(
    inside: list[Segment],
    inner: int,
    beyond: tuple[int, int],
    outer: int,
    finer: tuple[Level, ...],
    kept: _Kept,
) -> tuple[int, list[Segment]]:
    """Where whole buckets end: `inner` with what is `inside`, or `outer` less what is `beyond`.

    The second, if that is fewer to read.
    """
    outside = _cover(*beyond, finer, kept)
    if inner != outer and kept.has(outside) and kept.cost(outside) + 1 < kept.cost(inside):
        return outer, [part.taken_away() for part in outside]
    return inner, inside


def step_for(window: Window, finest: Level, wanted_ms: int | None = None) -> int:
    """Seconds between the points of a series: the finest step of at most MOST_POINTS points.

    Raises:
        InvalidRangeError: the wanted step is not one of STEPS, or too fine.
    """
    possible = [step for step in STEPS if window.seconds / step <= MOST_POINTS and step >= SECONDS[finest]]
    if wanted_ms is None:
        return possible[0]
    if wanted_ms % 1000 or wanted_ms // 1000 not in STEPS:
        allowed = ", ".join(str(step * 1000) for step in STEPS)
        raise InvalidRangeError(f"step={wanted_ms} is not a step; write one of {allowed} (ms)")
    if wanted_ms // 1000 not in possible:
        raise InvalidRangeError(
            f"step={wanted_ms} is too fine for this range (at most {MOST_POINTS} points; what is old is "
            f"kept in coarser buckets); write {possible[0] * 1000} or more"
        )
    return wanted_ms // 1000


def level_for(step: float) -> Level:
    """The coarsest level whose buckets are no wider than a step of this many seconds; else the finest."""
    for level in _COARSEST_FIRST:
        if SECONDS[level] <= step:
            return level
    return "5s"

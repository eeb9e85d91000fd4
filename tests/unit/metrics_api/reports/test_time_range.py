from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weir.metrics_api.reports.time_range import (
    MOST_POINTS,
    STEPS,
    InvalidRangeError,
    ceil,
    covered,
    finest_kept,
    floor,
    level_for,
    parse_window,
    segments,
    step_for,
)
from weir.metrics_api.storage.port import SECONDS, Segment, Window

if TYPE_CHECKING:
    from weir.metrics_api.storage.port import Kept, Level

NOW = 1_700_000_003_123
DAY = 86_400
KEPT: dict[Kept, float] = {
    "requests": float("inf"),
    "5s": DAY,
    "1m": 7 * DAY,
    "1h": float("inf"),
    "1d": float("inf"),
}


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("25m", 1500), ("1h", 3600), ("7d", 604800), ("90d", 7776000)]
)
def test_a_range_ends_now(text: str, seconds: int) -> None:
    assert parse_window(text, None, None, NOW) == Window(NOW - seconds * 1000, NOW)


def test_the_default_is_an_hour() -> None:
    assert parse_window(None, None, None, NOW).seconds == 3600


def test_from_and_to_are_taken_as_they_are() -> None:
    assert parse_window(None, "1000", "2000", NOW) == Window(1000, 2000)


@pytest.mark.parametrize(
    ("range_", "start", "end"),
    [
        ("", None, None), ("5", None, None), ("5x", None, None), ("-5m", None, None), ("1.5h", None, None),
        ("59s", None, None), ("91d", None, None), ("9999999d", None, None), ("\u0665m", None, None),
        ("1h", "1000", "2000"), (None, "1000", None), (None, None, "2000"), (None, "2000", "1000"),
        (None, "1000", "1000"), (None, "x", "2000"), (None, "-1", "2000"), (None, "1e3", "2000"),
        (None, "0", "9" * 30), (None, "0", "1700000000000"), (None, "1700000000000000", "1700000001000000"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_a_way_out(range_: str | None, start: str | None, end: str | None) -> None:
    with pytest.raises(InvalidRangeError) as caught:
        parse_window(range_, start, end, NOW)
    assert any(word in str(caught.value) for word in ("write", "give", "swap", "ask"))


def counted(found: tuple[Segment, ...], start: int, end: int) -> None:
    """What is taken away is taken from what was added: each moment of [start, end) counts once, no other."""
    edges = sorted({edge for part in found for edge in (part.start, part.end)} | {start, end})
    for moment, _ in pairwise(edges):
        times = sum(part.sign for part in found if part.start <= moment < part.end)
        assert times == (start <= moment < end), moment


@given(st.integers(60, 90 * DAY), st.integers(0, 100 * DAY), st.sampled_from(["5s", "1m", "1h", "1d"]))
@example(60, 604_704, "1d")  # ends within the hour in which minutes begin to be kept
@example(7 * DAY, 0, "1d")
def test_segments_add_up_to_the_window(length: int, ago: int, coarsest: Level) -> None:
    end = NOW - ago * 1000
    window = Window(end - length * 1000, end)
    found = segments(window, NOW, KEPT, coarsest)
    start, until = covered(window, NOW, KEPT)
    assert start * 1000 <= window.start
    assert until * 1000 >= window.end
    counted(found, start, until)
    kept = finest_kept(window.start / 1000, NOW, KEPT)
    for segment in found:
        width = SECONDS[segment.level]
        assert segment.start % width == segment.end % width == 0
        assert segment.start < segment.end
        assert segment.start >= NOW / 1000 - KEPT[segment.level], "only what is still kept"
        assert width <= max(SECONDS[coarsest], SECONDS[kept])
    assert len(found) <= 7


@given(st.integers(60, 90 * DAY))
def test_of_what_has_just_begun_the_whole_is_read(length: int) -> None:
    """A window that ends now has no fine buckets at its end, but those that are yet to come."""
    found = segments(Window(NOW - length * 1000, NOW), NOW, KEPT)
    read = sum(max(0, min(part.end, NOW / 1000) - part.start) / SECONDS[part.level] for part in found)
    assert read <= 90 + 2 + 12 + 30 + 6 + 1


@given(st.integers(60, DAY - 10))
def test_recent_windows_are_exact_to_five_seconds(length: int) -> None:
    window = Window(NOW - length * 1000, NOW)
    start, end = covered(window, NOW, KEPT)
    assert window.start - start * 1000 < 5000
    assert end * 1000 - window.end < 5000


@given(st.integers(60, 90 * DAY))
def test_a_series_has_at_most_the_points_a_chart_can_show(length: int) -> None:
    step = step_for(Window(NOW - length * 1000, NOW), "5s")
    assert length / step <= MOST_POINTS
    finer = [other for other in STEPS if other < step]
    assert not finer or length / finer[-1] > MOST_POINTS


@pytest.mark.parametrize(
    ("length", "step"),
    [(300, 5), (900, 5), (3600, 10), (21600, 60), (DAY, 300), (7 * DAY, 3600), (30 * DAY, 21600)],
)
def test_the_usual_ranges_have_their_steps(length: int, step: int) -> None:
    assert step_for(Window(NOW - length * 1000, NOW), "5s") == step


def test_a_step_finer_than_what_is_kept_is_refused() -> None:
    window = Window(NOW - 300_000, NOW)
    assert step_for(window, "1m") == 60
    assert step_for(window, "5s", 60_000) == 60
    for wrong in (1, 7000, 86_400_001):
        with pytest.raises(InvalidRangeError, match="is not a step"):
            step_for(window, "5s", wrong)
    with pytest.raises(InvalidRangeError, match="write 60000 or more"):
        step_for(window, "1m", 5000)


@pytest.mark.parametrize(
    ("step", "level"),
    [(5, "5s"), (30, "5s"), (60, "1m"), (900, "1m"), (3600, "1h"), (21600, "1h"), (DAY, "1d")],
)
def test_a_step_is_made_of_whole_buckets(step: int, level: str) -> None:
    assert level_for(step) == level
    assert step % SECONDS[level_for(step)] == 0


def test_edges() -> None:
    assert (floor(7.9, 5), ceil(7.9, 5), ceil(10, 5), floor(10, 5)) == (5, 10, 10, 10)
    assert finest_kept(NOW / 1000 - DAY + 10, NOW, KEPT) == "5s"
    assert finest_kept(NOW / 1000 - DAY - 10, NOW, KEPT) == "1m"
    assert finest_kept(NOW / 1000 - 8 * DAY, NOW, KEPT) == "1h"

"""What is known to be stored: never more than is, and as soon as the readers have come so far."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weir.events.settlement import NEVER, Settlement
from weir.events.stream import StreamId


def at(number: int) -> StreamId:
    return StreamId(number, 0)


def test_all_before_a_moment_is_stored_when_the_readers_have_what_was_the_newest_then() -> None:
    settlement = Settlement()
    settlement.saw(10.0, newest=at(5), settled=at(0))
    settlement.saw(11.0, newest=at(8), settled=at(4))
    assert settlement.until == NEVER
    settlement.saw(12.0, newest=at(9), settled=at(5))
    assert settlement.until == 10.0
    settlement.saw(13.0, newest=at(9), settled=at(9))
    assert settlement.until == 12.0


def test_another_stream_says_nothing_about_what_was_asked_of_the_one_before() -> None:
    settlement = Settlement()
    settlement.saw(10.0, newest=at(5), settled=at(0))
    settlement.forget()
    settlement.saw(11.0, newest=at(7), settled=at(6))
    assert settlement.until == NEVER
    settlement.saw(12.0, newest=at(7), settled=at(7))
    assert settlement.until == 11.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40))
def test_it_never_says_more_than_is_stored(steps: list[tuple[int, int]]) -> None:
    """In each step some entries are added, some are stored, and then it is looked."""
    settlement, newest, settled = Settlement(), 0, 0
    newest_at: list[int] = []
    for moment, (added, stored) in enumerate(steps):
        newest += added
        settled = min(newest, settled + stored)
        newest_at.append(newest)
        settlement.saw(float(moment), at(newest), at(settled))
        if settlement.until != NEVER:
            assert newest_at[int(settlement.until)] <= settled

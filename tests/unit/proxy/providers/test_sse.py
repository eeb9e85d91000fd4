"""Streams cut into events: nothing lost, nothing changed, and never in the middle of one."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.transport import in_pieces

from weir.proxy.providers.sse import (
    MAX_HELD,
    EventSplitter,
    LineSplitter,
    Splitter,
    event_data,
    split_events,
)

_PARTS: Final = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data: ", b"x", b"{}"])
_BYTES: Final = st.lists(_PARTS | st.binary(max_size=5), max_size=30).map(b"".join)
_END: Final = re.compile(rb"(?:\n\n|\n\r\n|\r\r)$")


@given(_BYTES, st.lists(st.integers(0, 150), max_size=15), st.sampled_from([EventSplitter, LineSplitter]))
def test_the_pieces_are_the_whole(data: bytes, ends: list[int], kind: type[Splitter]) -> None:
    splitter = kind()
    given = b"".join(map(splitter.feed, in_pieces(data, ends)))
    assert given + splitter.rest() == data
    assert splitter.rest() == b""


@given(_BYTES, st.lists(st.integers(0, 150), max_size=15))
def test_what_is_given_out_ends_with_an_event(data: bytes, ends: list[int]) -> None:
    splitter = EventSplitter()
    for piece in in_pieces(data, ends):
        given = splitter.feed(piece)
        assert given == b"" or _END.search(given)
        assert splitter.between_events


@given(_BYTES, st.lists(st.integers(0, 150), max_size=15))
def test_as_much_is_given_out_as_can_be_however_it_came(data: bytes, ends: list[int]) -> None:
    whole, split = EventSplitter(), EventSplitter()
    given = b"".join(map(split.feed, in_pieces(data, ends)))
    # A further empty line after an event may wait for the next one.
    assert whole.feed(data).rstrip(b"\r\n") == given.rstrip(b"\r\n")


@given(_BYTES)
def test_splitting_loses_nothing(data: bytes) -> None:
    assert b"".join(split_events(data)) == data
    assert b"".join(LineSplitter.split(data)) == data


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\r\n\n", b"\n\r\n", b"\n\n\n"])
def test_every_kind_of_empty_line(end: bytes) -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a" + end + b"data: b") == b"data: a" + end
    assert split_events(b"data: a" + end + b"data: b") == [b"data: a" + end, b"data: b"]


@pytest.mark.parametrize("kind", [EventSplitter, LineSplitter])
def test_what_is_held_has_a_bound(kind: type[Splitter]) -> None:
    splitter = kind()
    given = 0
    for sent in range(1000, 500_000, 1000):
        given += len(splitter.feed(b"x" * 1000))
        assert sent - given <= MAX_HELD
    assert not splitter.between_events
    assert splitter.feed(splitter.boundaries[0]).endswith(splitter.boundaries[0])
    assert splitter.between_events


def test_a_boundary_is_seen_where_a_long_event_was_cut() -> None:
    splitter = EventSplitter()
    splitter.feed(b"x" * (MAX_HELD + 1) + b"\n")
    assert splitter.feed(b"\ny").endswith(b"\n\n")
    assert splitter.rest() == b"y"


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\r\n\r\n", b"a"),
        (b"data:  a\r\r", b" a"),
        (b"event: x\ndata: a\nid: 1\ndata: b\n\n", b"a\nb"),
        (b"data\n\n", b""),
        (b": data: a\n\n", b""),
        (b"xdata: a\n\n", b""),
        (b"\r\ndata: a\n\n", b"a"),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes) -> None:
    assert event_data(event) == data

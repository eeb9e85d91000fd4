"""The shared table: what a reader sees is always of one moment, whenever the writer stops."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support.measures import new_table

from weir.proxy.metering.measures import table as module
from weir.proxy.metering.measures.cells import WIDTH
from weir.proxy.metering.measures.table import MAX_LABELS_BYTES, MAX_SERIES, Reading, Table, create_table

if TYPE_CHECKING:
    from collections.abc import Iterator

SERIES: Final = module._SERIES


@pytest.fixture
def fd() -> Iterator[int]:
    fd = create_table()
    yield fd
    os.close(fd)


def row(value: float) -> list[float]:
    return [value] * WIDTH


def seen(table: Table) -> dict[bytes, float]:
    """The totals, each of which has the same number in all of its cells."""
    found: dict[bytes, float] = {}
    for labels, totals in table.read().series:
        (found[labels],) = set(totals)
    return found


def test_a_new_table_is_empty() -> None:
    assert new_table().read() == Reading(0, [])


def test_a_reader_sees_what_was_committed(fd: int) -> None:
    writer, reader = Table(fd), Table(fd)
    assert writer.add_series(b"a")
    assert writer.add_series(b"b")
    assert seen(reader) == {}, "not committed yet"
    writer.commit([(0, row(1.5)), (1, row(2))], sequence=7)
    assert seen(reader) == {b"a": 1.5, b"b": 2}
    assert reader.read().sequence == 7


def test_what_is_not_named_stays_as_it_was(fd: int) -> None:
    writer, reader = Table(fd), Table(fd)
    for name in (b"a", b"b", b"c"):
        writer.add_series(name)
    writer.commit([(number, row(1)) for number in range(3)], 1)
    for value in range(2, 9):
        writer.commit([(value % 3, row(value))], value)
    assert seen(reader) == {b"a": 6, b"b": 7, b"c": 8}


def test_a_successor_goes_on(fd: int) -> None:
    first = Table(fd)
    first.add_series(b"a")
    first.add_series(b"b")
    first.commit([(0, row(1)), (1, row(1))], 1)
    first.commit([(1, row(2))], 2)
    first.add_series(b"never committed")

    second = Table(fd)
    assert second.add_series(b"c")
    second.commit([(2, row(3))], 3)
    assert seen(second) == {b"a": 1, b"b": 2, b"c": 3}
    second.commit([(0, row(4))], 4)
    assert seen(Table(fd)) == {b"a": 4, b"b": 2, b"c": 3}


class KilledError(Exception):
    """In place of a SIGKILL."""


class Killing:
    """Writes so many series, then the writer is dead."""

    def __init__(self, series: int) -> None:
        self.size = SERIES.size
        self._left = series

    def pack_into(self, *values: Any) -> None:
        if not self._left:
            raise KilledError
        self._left -= 1
        SERIES.pack_into(*values)


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_writer_killed_in_a_commit_has_changed_nothing(
    fd: int, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = Table(fd)
    for name in (b"a", b"b", b"c"):
        victim.add_series(name)
    for value in (1, 2):
        victim.commit([(number, row(value)) for number in range(3)], value)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_SERIES", Killing(written))
        with pytest.raises(KilledError):
            victim.commit([(number, row(99)) for number in range(3)], 99)
    assert seen(Table(fd)) == {b"a": 2, b"b": 2, b"c": 2}
    assert Table(fd).read().sequence == 2

    Table(fd).commit([(1, row(3))], 3)
    assert seen(Table(fd)) == {b"a": 2, b"b": 3, b"c": 2}


def test_readings_are_of_one_moment_while_the_writer_goes_on(fd: int) -> None:
    writer, reader = Table(fd), Table(fd)
    for number in range(20):
        writer.add_series(b"%d" % number)
    done = threading.Event()

    def write() -> None:
        for value in range(1, 500):
            writer.commit([(number, row(value)) for number in range(20)], value)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    last = 0
    while not done.is_set() or last < 499:
        reading = reader.read()
        values = {cell for _, totals in reading.series for cell in totals}
        assert values in ({float(reading.sequence)}, set())
        assert reading.sequence >= last
        last = reading.sequence
    thread.join()


def test_there_is_room_for_so_many_series_and_labels_of_so_many_bytes() -> None:
    table = new_table()
    assert not table.add_series(b"x" * (MAX_LABELS_BYTES + 1))
    for number in range(MAX_SERIES):
        assert table.add_series(b"%0*d" % (MAX_LABELS_BYTES, number))
    assert not table.add_series(b"one more")
    table.commit([(MAX_SERIES - 1, row(1))], 1)
    series = table.read().series
    assert len(series) == MAX_SERIES
    assert series[-1] == (b"%0*d" % (MAX_LABELS_BYTES, MAX_SERIES - 1), tuple(row(1)))


def test_an_unused_table_takes_no_room(fd: int) -> None:
    assert os.fstat(fd).st_size > 1 << 20
    Table(fd)
    assert os.fstat(fd).st_blocks * 512 <= 64 << 10

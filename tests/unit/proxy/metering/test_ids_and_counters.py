"""Request ids that sort by time; counters that two processes see."""

from __future__ import annotations

import os
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.proxy.metering.counters import GAUGES, NAMES, Counters, create_file
from weir.proxy.metering.ids import RequestIds


@given(st.integers(0, 2**48 * 1000 - 1))
def test_an_id_is_a_uuid_of_its_moment(now_us: int) -> None:
    text = RequestIds().next(now_us)
    uuid = UUID(text)
    assert str(uuid) == text
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == now_us // 1000


def test_ids_sort_by_time_and_are_unique() -> None:
    ids = RequestIds()
    made = [ids.next(1_700_000_000_000_000 + number * 1000) for number in range(2000)]
    assert made == sorted(made)
    same_moment = {ids.next(1_700_000_000_000_000) for _ in range(20_000)}
    assert len(same_moment) == 20_000
    varied = [{text[at] for text in same_moment} for at in range(15, 36) if at not in {18, 19, 23}]
    assert all(len(digits) == 16 for digits in varied), "some of the random digits are not random"


def test_what_one_adds_the_other_reads() -> None:
    fd = create_file()
    worker, parent = Counters(fd), Counters(fd)
    assert set(parent.read().values()) == {0}
    worker.add("accepted")
    worker.add("accepted", 2)
    worker.add("in_flight_canary", 5)
    worker.add("in_flight_canary", -1)
    worker.set("connections_open", 7)
    expected = {**dict.fromkeys(NAMES, 0), "accepted": 3, "in_flight_canary": 4, "connections_open": 7}
    assert parent.read() == expected
    worker.close()
    successor = Counters(fd)
    successor.reset_gauges()
    assert parent.read() == {**expected, **dict.fromkeys(GAUGES, 0)}
    successor.add("accepted")
    assert parent.read()["accepted"] == 4
    with pytest.raises(KeyError):
        successor.add("nothing")
    for counters in (successor, parent):
        counters.close()
    os.close(fd)

from __future__ import annotations

import pytest

from weir.metrics_api.storage.port import Filter, RollupQuestion, Segment
from weir.metrics_api.storage.position import BUCKET_BITS
from weir.metrics_api.storage.rollup_tables import parts

HOUR = 3600
DAY = 86400


def tables(question: RollupQuestion) -> list[tuple[str, int, int]]:
    """The parts of a question in hours."""
    return [
        (table.removeprefix("rollup_"), (first >> BUCKET_BITS) // HOUR, (end >> BUCKET_BITS) // HOUR)
        for table, first, end, _ in parts(question)
    ]


HOURS = Segment("1h", 4 * HOUR, 20 * HOUR)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (RollupQuestion((HOURS,)), [("1h_brief", 4, 6), ("6h_brief", 6, 18), ("1h_brief", 18, 20)]),
        (RollupQuestion((Segment("1h", HOUR, 5 * HOUR),)), [("1h_brief", 1, 5)]),
        (RollupQuestion((Segment("1h", 0, DAY),)), [("6h_brief", 0, 24)]),
        (RollupQuestion((HOURS,), group_by=("model", "outcome"), slot=(0, 21600)),
         [("1h_brief", 4, 6), ("6h_brief", 6, 18), ("1h_brief", 18, 20)]),
        (RollupQuestion((HOURS,), slot=(0, HOUR)), [("1h_brief", 4, 20)]),
        (RollupQuestion((HOURS,), slot=(HOUR, 21600)), [("1h_brief", 4, 20)]),
        (RollupQuestion((HOURS,), group_by=("project",)), [("1h", 4, 20)]),
        (RollupQuestion((HOURS,), Filter(upstream=("gpu-1",))), [("1h", 4, 20)]),
        (RollupQuestion((HOURS,), Filter(model=("m",), status_classes=(5,)), slot=(0, HOUR)),
         [("1h_brief", 4, 20)]),
        (RollupQuestion((Segment("5s", 0, HOUR), Segment("1m", HOUR, 2 * HOUR), Segment("1d", DAY, 3 * DAY))),
         [("5s", 0, 1), ("1m_brief", 1, 2), ("1d_brief", 24, 72)]),
    ],
)  # fmt: skip
def test_a_question_reads_the_smallest_tables_that_know_the_answer(
    question: RollupQuestion, found: list[tuple[str, int, int]]
) -> None:
    assert tables(question) == found


def test_what_is_taken_away_is_taken_from_the_same_tables() -> None:
    question = RollupQuestion((Segment("1d", 0, DAY), Segment("1h", 4 * HOUR, DAY).taken_away()))
    assert [(part.table, part.sign) for part in parts(question)] == [
        ("rollup_1d_brief", 1), ("rollup_1h_brief", -1), ("rollup_6h_brief", -1),
    ]  # fmt: skip

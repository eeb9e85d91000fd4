from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.metrics_api.metrics.histogram import (
    LARGEST,
    LAST_BIN,
    RELATIVE_ERROR,
    Histogram,
    bin_of,
    count_of,
    merge,
    merge_two,
    middle_of,
)

values = st.floats(min_value=1, max_value=LARGEST * 0.98)
lists = st.lists(values, max_size=60)


@given(values)
def test_a_bin_stands_for_its_values_within_the_stated_error(value: float) -> None:
    assert abs(middle_of(bin_of(value)) - value) <= value * RELATIVE_ERROR * (1 + 1e-9)


@given(st.lists(values, min_size=1, max_size=200), st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_the_stated_error_of_the_exact_one(found: list[float], q: float) -> None:
    exact = sorted(found)[max(1, math.ceil(q * len(found))) - 1]
    answer = Histogram.of(found).quantile(q)
    assert answer is not None
    assert abs(answer - exact) <= exact * RELATIVE_ERROR * (1 + 1e-9)


@given(st.lists(lists, max_size=6))
def test_merging_is_counting_together(parts: list[list[float]]) -> None:
    together = Histogram.of([value for part in parts for value in part])
    merged = merge([Histogram.of(part).to_bytes() for part in parts])
    assert merged == together
    assert merged.quantile(0.95) == together.quantile(0.95)
    assert merged.to_bytes() == together.to_bytes()


@given(st.dictionaries(st.integers(0, LAST_BIN), st.integers(1, 2**31), max_size=80))
def test_bytes_keep_every_count(bins: dict[int, int]) -> None:
    if sum(bins.values()) >= 2**32:
        bins = {index: count % 1000 + 1 for index, count in bins.items()}
    stored = Histogram(bins).to_bytes()
    assert Histogram.from_bytes(stored).bins == bins
    assert count_of(stored) == sum(bins.values())


@given(lists, lists)
def test_merging_two_stored_ones_is_merging(one: list[float], other: list[float]) -> None:
    a, b = Histogram.of(one or [1.0]), Histogram.of(other or [2.0])
    assert merge_two(a.to_bytes(), b.to_bytes()) == (a + b).to_bytes()
    many = Histogram(dict.fromkeys(range(400, 700), 250))
    assert Histogram.from_bytes(merge_two(many.to_bytes(), b.to_bytes())) == many + b
    assert Histogram.from_bytes(merge_two(b.to_bytes(), many.to_bytes())) == many + b


@given(lists, lists, lists)
def test_addition_does_not_care_for_order(one: list[float], two: list[float], three: list[float]) -> None:
    a, b, c = map(Histogram.of, (one, two, three))
    assert (a + b) + c == a + (b + c) == c + b + a


def test_lanes_do_not_overflow_into_each_other() -> None:
    full = Histogram({10: 2**32 - 1}).to_bytes()
    neighbour = Histogram({11: 1}).to_bytes()
    assert merge([full, full, neighbour]).bins == {10: 2 * (2**32 - 1), 11: 1}
    small = Histogram({5: 255}).to_bytes()
    assert merge([small] * 300).bins == {5: 76500}


@pytest.mark.parametrize(("value", "index"), [(0, 0), (-3, 0), (1, 0), (LARGEST * 10, LAST_BIN)])
def test_what_is_out_of_range_falls_into_the_outermost_bins(value: float, index: int) -> None:
    assert bin_of(value) == index


def test_an_empty_histogram_has_no_quantile_and_no_bytes() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram.of([]).to_bytes() == b""
    assert merge([None, b""]).n == 0


def test_few_values_far_apart_take_few_bytes() -> None:
    assert len(Histogram.of([1000, 50_000_000]).to_bytes()) < 16


def test_many_values_take_about_a_byte_a_bin() -> None:
    histogram = Histogram.of([1000 * 1.01**i for i in range(500)])
    span = max(histogram.bins) - min(histogram.bins) + 1
    assert len(histogram.to_bytes()) < span + 16


def test_of_counts_values() -> None:
    assert Histogram.of([100, 100, 200]).bins == Counter([bin_of(100), bin_of(100), bin_of(200)])
    assert "n=3" in repr(Histogram.of([100, 100, 200]))

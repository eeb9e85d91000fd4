from __future__ import annotations

import pytest
from tests.support.builders import make_event

from weir.metrics_api.reports.filter import InvalidFilterError, matches, parse_filter
from weir.metrics_api.reports.requests import document
from weir.metrics_api.storage.port import Filter


def test_no_parameters_allow_all() -> None:
    assert parse_filter({"range": "1h", "limit": "5"}) == Filter()


def test_lists_are_alternatives() -> None:
    assert parse_filter({"model": "a,b,a", "status": "404,5xx,429"}) == Filter(
        model=("a", "b"), status_codes=(404, 429), status_classes=(5,)
    )


def test_all_variants_are_no_filter() -> None:
    assert parse_filter({"variant": "all"}) == Filter()
    assert parse_filter({"variant": "canary"}) == Filter(variant=("canary",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""), ("model", ",,"), ("outcome", "ok"), ("status", "99"), ("status", "6xx"),
        ("status", "4x"), ("status", "-404"), ("user", "x" * 2000), ("model", ",".join(map(str, range(50)))),
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidFilterError, match=name):
        parse_filter({name: value})


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"model": "llama3"}, True),
        ({"model": "other"}, False),
        ({"model": "other,llama3", "status": "2xx"}, True),
        ({"status": "404"}, False),
        ({"variant": "production"}, True),
        ({"variant": "canary"}, False),
        ({"user": "ada", "outcome": "completed"}, True),
        ({"user": "ada", "outcome": "timeout"}, False),
    ],
)
def test_a_live_request_is_matched_as_the_database_would(parameters: dict[str, str], expected: bool) -> None:
    request = document(make_event(variant=None, model=None, model_requested="llama3"))
    assert matches(parse_filter(parameters), request) is expected


def test_a_request_without_status_matches_no_status() -> None:
    assert not matches(parse_filter({"status": "5xx"}), document(make_event(status_code=None)))

"""Looking into bytes that may be JSON never fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.proxy.providers.json_bytes import json_object, object_after, text, value_at


@given(st.binary(max_size=60) | st.text('{}[]":,0 nulé', max_size=60).map(str.encode))
def test_no_bytes_are_a_failure(data: bytes) -> None:
    assert isinstance(json_object(data), dict)
    object_after(b'{"usage":' + data, b'"usage"')
    for start in range(len(data)):
        value_at(data, start)


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"nul", b"{", b'{"a":\xff}', b"[" * 100_000])
def test_what_is_no_object_is_empty(data: bytes) -> None:
    assert json_object(data) == {}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'"usage":{"a":1}', {"a": 1}),
        (b'..."usage" : {"a":{"b":[1,"}"]}},"x":2}', {"a": {"b": [1, "}"]}}),
        (b'"usage":{"a":1},"usage":{"a":2}', {"a": 2}),
        (b'"usage":null,"x":{"a":1}', None),
        (b'"usage":{"a":', None),
        (b'"usage":{"a":NaN}', None),
        (b'"usage"', None),
        (b'{"a":1}', None),
        (b'"usage":{"a":"' + b"x" * 20_000 + b'"}', None),
        ('"usage":{"é":"ü"}'.encode(), {"é": "ü"}),
    ],
)
def test_the_object_after_a_key(data: bytes, found: dict[str, Any] | None) -> None:
    assert object_after(data, b'"usage"') == found


def test_a_value_knows_where_it_ends() -> None:
    assert value_at(b'x["a", "\\u00e9"] rest', 1) == (["a", "é"], 16)
    assert value_at('"é"…'.encode(), 0) == ("é", 4)
    assert value_at(b"oops", 0) is None


def test_text() -> None:
    assert (text("a"), text(""), text(None), text(7), text(["a"])) == ("a", None, None, None, None)

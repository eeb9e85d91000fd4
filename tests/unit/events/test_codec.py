"""The record as bytes: nothing lost on the way, and what cannot be read is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import make_event

from weir.events import Attempt, Outcome, RequestEvent, UsageSource, decode, encode
from weir.events.codec import UndecodableEventError
from weir.events.request_event import SCHEMA_VERSION

_text = st.none() | st.text('aé🙂"\\\n\x00', max_size=6)
_count = st.none() | st.integers(0, 2**53)
_ms = st.none() | st.floats(0, 1e12)


@given(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(Outcome),
            "usage_source": st.sampled_from(UsageSource),
            "user": _text,
            "error_message": _text,
            "stream": st.none() | st.booleans(),
            "metadata": st.none()
            | st.dictionaries(st.text("ab", max_size=3), st.text(max_size=3), max_size=2),
            "prompt_tokens": _count,
            "retries": st.integers(0, 9),
            "duration_ms": _ms,
            "attempts": st.none()
            | st.lists(st.builds(Attempt, upstream=st.just("a"), ms=_ms, error=_text), max_size=2),
        }
    )
)
def test_what_is_encoded_is_decoded(fields: dict[str, Any]) -> None:
    event = make_event(**fields)
    data = encode(event)
    assert b"\n" not in data
    assert decode(data) == event


def test_defaults_are_left_out_and_unknown_is_not_zero() -> None:
    event = RequestEvent(request_id="i", proxy_id="p", started_at=1, endpoint="e", outcome=Outcome.COMPLETED)
    assert json.loads(encode(event)) == {
        "request_id": "i",
        "proxy_id": "p",
        "started_at": 1,
        "endpoint": "e",
        "outcome": "completed",
    }
    assert decode(encode(event)).prompt_tokens is None


def changed(**fields: Any) -> bytes:
    """An encoded event with some fields replaced; `...` takes one away."""
    document = {**json.loads(encode(make_event())), **fields}
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def test_fields_of_a_newer_proxy_are_skipped() -> None:
    assert decode(changed(novelty={"a": 1}, other=None)).user == "ada"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\x00\x01", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"request_id":"\xff"}', "utf-8"),
        (changed(request_id=...), "missing required field `request_id`"),
        (changed(outcome="fine"), "Invalid enum value 'fine'"),
        (changed(prompt_tokens="many"), r"Expected `int \| null`"),
        (changed(prompt_tokens=-1), ">= 0"),
        (changed(duration_ms=-0.5), ">= 0"),
        (changed(started_at=2**52), "4503599627370495"),
        (changed(retries=2**54), "9007199254740992"),
        (changed(metadata={"a": 1}), "Expected `str`"),
        (changed(schema_version=99), "schema_version 99 is unknown here"),
        (changed(schema_version=99, outcome="new"), "schema_version 99 is unknown here"),
        (changed(schema_version="x"), "Expected `int`"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableEventError, match=reason):
        decode(data)


@given(st.binary(max_size=80))
def test_no_bytes_are_another_failure(data: bytes) -> None:
    with pytest.raises(UndecodableEventError):
        decode(data)


def test_this_version_is_the_one_that_is_written() -> None:
    assert make_event().schema_version == SCHEMA_VERSION

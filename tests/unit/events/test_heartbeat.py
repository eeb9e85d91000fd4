"""What a proxy says of itself, as a hash and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from weir.events.heartbeat import Heartbeat, VariantLoad, from_hash, to_hash

if TYPE_CHECKING:
    from typing import Any

BEAT = Heartbeat(
    proxy_id="p1",
    boot_id="b",
    version="1",
    started_at=1,
    sent_at=2,
    workers=2,
    max_in_flight=10,
    variants={"production": VariantLoad(in_flight=3)},
    accepted=9,
    journaled=8,
    acknowledged=7,
    dropped=0,
)


def as_redis_gives_it(beat: Heartbeat) -> dict[bytes, bytes]:
    fields = cast("dict[str, bytes]", to_hash(beat))
    return {name.encode(): value for name, value in fields.items()}


def test_round_trip() -> None:
    assert from_hash(as_redis_gives_it(BEAT)) == BEAT


def test_a_newer_proxy_may_say_more() -> None:
    assert from_hash({**as_redis_gives_it(BEAT), b"novelty": b"[1]"}) == BEAT


@pytest.mark.parametrize(
    "change",
    [
        {b"workers": b"many"},
        {b"workers": b'"x"'},
        {b"variants": b"3"},
        {b"accepted": b'"\xff"'},
        {b"\xff": b"1"},
    ],
)
def test_what_cannot_be_read_is_an_error(change: dict[bytes, Any]) -> None:
    with pytest.raises(msgspec.DecodeError):
        from_hash({**as_redis_gives_it(BEAT), **change})


def test_a_missing_field_is_an_error() -> None:
    fields = as_redis_gives_it(BEAT)
    del fields[b"accepted"]
    with pytest.raises(msgspec.DecodeError):
        from_hash(fields)

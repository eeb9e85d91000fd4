"""Which headers a relay passes on."""

from __future__ import annotations

from weir.servicekit.passthrough import HOP_BY_HOP, end_to_end


def test_hop_by_hop_headers_stay_behind() -> None:
    headers = [(name.title(), "x") for name in HOP_BY_HOP]
    assert end_to_end([*headers, ("Accept", "a"), ("Accept", "b")]) == [("Accept", "a"), ("Accept", "b")]


def test_what_connection_names_stays_behind() -> None:
    headers = [
        ("Connection", "close, X-Secret"),
        ("x-secret", "1"),
        ("connection", "x-OTHER"),
        ("X-Other", "2"),
    ]
    assert end_to_end([*headers, ("X-Kept", "3")]) == [("X-Kept", "3")]

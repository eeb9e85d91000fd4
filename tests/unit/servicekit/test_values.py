"""Durations, sizes and listen addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.servicekit.values import ListenAddress, format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5),
        ("1.5s", 1.5),
        ("15m", 900),
        ("24h", 86400),
        ("7d", 604800),
        ("1h5m", 3900),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5x", "5s!", "1h 30m", "5S"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**9))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("64 MiB", 2**26), ("64mib", 2**26), ("1GB", 10**9), ("10 kB", 10_000), ("7B", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(min_value=0, max_value=2**40))
def test_sizes_are_written_as_they_are_read(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1.5MiB", "1 TiB", "MiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("127.0.0.1:8001", "127.0.0.1", 8001, "http://127.0.0.1:8001"),
        (":8080", "0.0.0.0", 8080, "http://127.0.0.1:8080"),
        ("[::1]:0", "::1", 0, "http://[::1]:0"),
        ("localhost:80", "localhost", 80, "http://localhost:80"),
    ],
)
def test_listen_addresses(text: str, host: str, port: int, url: str) -> None:
    address = ListenAddress.parse(text)
    assert (address.host, address.port, address.url) == (host, port, url)
    assert ListenAddress.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "8001", "host", "host:", "host:65536", "host:-1", "host:٣", "::1:80"])
def test_what_is_no_listen_address(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        ListenAddress.parse(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_loopback(host: str, *, is_loopback: bool) -> None:
    assert ListenAddress(host, 1).is_loopback is is_loopback

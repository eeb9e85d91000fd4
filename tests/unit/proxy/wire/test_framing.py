"""Heads that two readers could understand differently are refused, on both sides."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.transport import headers

from weir.proxy.wire.framing import (
    BadRequestError,
    BadResponseError,
    read_request_head,
    read_response_head,
)

if TYPE_CHECKING:
    from weir.proxy.exchange import RequestHead


def request(*lines: str, target: bytes = b"/v1/x", version: str = "1.1") -> RequestHead:
    return read_request_head(b"POST", target, version, headers("Host: weir.test", *lines))


class TestRequests:
    @pytest.mark.parametrize(
        ("lines", "length", "chunked", "has_body"),
        [
            ((), None, False, False),
            (("Content-Length: 0",), 0, False, False),
            (("Content-Length: 0012",), 12, False, True),
            (("Content-Length: 999999999999999999",), 10**18 - 1, False, True),
            (("Transfer-Encoding: chunked",), None, True, True),
            (("transfer-encoding: CHUNKED",), None, True, True),
        ],
    )
    def test_how_the_body_is_framed(
        self, lines: tuple[str, ...], length: int | None, chunked: bool, has_body: bool
    ) -> None:
        head = request(*lines)
        assert (head.content_length, head.chunked, head.has_body) == (length, chunked, has_body)

    @pytest.mark.parametrize(
        "lines",
        [
            ("Content-Length: 1", "Content-Length: 1"),
            ("Content-Length: 1", "content-length: 2"),
            ("Content-Length: +1",),
            ("Content-Length: -1",),
            ("Content-Length: 1 1",),
            ("Content-Length: 1,1",),
            ("Content-Length: 0x1",),
            ("Content-Length: ",),
            ("Content-Length: ²",),
            ("Content-Length: 1000000000000000000",),
            ("Content-Length: 1", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: x, chunked",),
            ("Transfer-Encoding: chunked, identity",),
            ("Transfer-Encoding: gzip",),
            ("Transfer-Encoding: \x0bchunked",),
            ("Transfer-Encoding: ",),
            ("Host: other.test",),
            ("Authorization: Bearer a", "Authorization: Bearer b"),
            ("Content-Type: a/b", "Content-Type: c/d"),
            ("Expect: 100-continue", "Expect: 100-continue"),
        ],
    )
    def test_what_is_ambiguous_is_refused(self, lines: tuple[str, ...]) -> None:
        with pytest.raises(BadRequestError) as caught:
            request(*lines)
        assert (caught.value.status, caught.value.code) == (400, "malformed_request")
        assert not any(line.partition(": ")[2] in caught.value.message for line in lines if line[-1] != " ")

    @pytest.mark.parametrize("host", ["a", "a.b:80", "127.0.0.1:8001", "[::1]:8001", "A_b-c.~d", "x:"])
    def test_a_host_is_a_host(self, host: str) -> None:
        assert read_request_head(b"GET", b"/", "1.1", headers(f"Host: {host}")).path == b"/"

    @pytest.mark.parametrize("host", ["", "a b", "a/b", "u@a", "a,b", "a:80:80", "[::1", "a:x", "ä", "a?b"])
    def test_anything_else_is_none(self, host: str) -> None:
        with pytest.raises(BadRequestError):
            read_request_head(b"GET", b"/", "1.1", headers(f"Host: {host}"))

    def test_only_the_old_version_may_come_without_a_host(self) -> None:
        assert not read_request_head(b"GET", b"/", "1.0", []).keep_alive
        with pytest.raises(BadRequestError):
            read_request_head(b"GET", b"/", "1.1", [])

    @pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0"])
    def test_other_versions_are_not_spoken(self, version: str) -> None:
        with pytest.raises(BadRequestError) as caught:
            request(version=version)
        assert caught.value.status == 400

    def test_chunks_came_with_version_1_1(self) -> None:
        with pytest.raises(BadRequestError):
            request("Transfer-Encoding: chunked", version="1.0")

    @pytest.mark.parametrize("target", [b"*", b"http://weir.test/v1/x", b"weir.test:443", b"v1/x", b""])
    def test_a_target_is_a_path(self, target: bytes) -> None:
        with pytest.raises(BadRequestError):
            request(target=target)

    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [
            (b"/a", b"/a", b""),
            (b"/a?", b"/a", b"?"),
            (b"/a?b?c=%20", b"/a", b"?b?c=%20"),
            (b"//a", b"//a", b""),
        ],
    )
    def test_path_and_query_stay_as_they_came(self, target: bytes, path: bytes, query: bytes) -> None:
        head = request(target=target)
        assert (head.path, head.query) == (path, query)

    @pytest.mark.parametrize(
        ("lines", "version", "keep_alive"),
        [
            ((), "1.1", True),
            (("Connection: Close",), "1.1", False),
            (("Connection: TE, close",), "1.1", False),
            (("Connection: close", "Connection: TE"), "1.1", False),
            ((), "1.0", False),
            (("Connection: Keep-Alive",), "1.0", True),
        ],
    )
    def test_whether_the_connection_stays(
        self, lines: tuple[str, ...], version: str, keep_alive: bool
    ) -> None:
        assert request(*lines, version=version).keep_alive is keep_alive

    def test_every_line_of_a_list_counts_and_of_others_the_last(self) -> None:
        head = request("Connection: a", "X: 1", "Connection: b, c", "X: 2", "Accept-Encoding: gzip")
        assert head.fields[b"connection"] == b"a, b, c"
        assert head.fields[b"x"] == b"2"
        assert [name for name, _, _ in head.headers].count(b"x") == 2

    def test_expecting_to_continue(self) -> None:
        assert request("Expect: 100-Continue").expects_continue
        assert not request("Expect: 100-continue", version="1.0").expects_continue
        assert not request().expects_continue


class TestResponses:
    @pytest.mark.parametrize(
        ("status", "lines", "framing", "length"),
        [
            (200, ("Content-Length: 3",), "length", 3),
            (200, ("Transfer-Encoding: chunked",), "chunked", None),
            (200, (), "close", None),
            (204, (), "none", None),
            (204, ("Content-Length: 3",), "none", 3),
            (304, ("Transfer-Encoding: chunked",), "none", None),
            (500, (), "close", None),
        ],
    )
    def test_how_the_body_ends(
        self, status: int, lines: tuple[str, ...], framing: str, length: int | None
    ) -> None:
        head = read_response_head(status, b"OK", "1.1", headers(*lines))
        assert (head.framing, head.content_length) == (framing, length)

    @pytest.mark.parametrize(
        "lines",
        [
            ("Content-Length: 1", "Content-Length: 1"),
            ("Content-Length: 1", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: gzip, chunked",),
            ("Transfer-Encoding: identity",),
            ("Content-Length: -1",),
            ("Content-Length: 1000000000000000000",),
            ("Content-Length: ",),
        ],
    )
    def test_what_is_ambiguous_is_not_trusted(self, lines: tuple[str, ...]) -> None:
        with pytest.raises(BadResponseError):
            read_response_head(200, b"OK", "1.1", headers(*lines))

    @pytest.mark.parametrize("reason", [b"\x00", b"a\x1b[31m", b"a\x7f"])
    def test_a_reason_with_control_characters_is_not_passed_on(self, reason: bytes) -> None:
        with pytest.raises(BadResponseError):
            read_response_head(200, reason, "1.1", [])

    @pytest.mark.parametrize("version", ["0.9", "2.0", "1.2"])
    def test_other_versions_are_not_understood(self, version: str) -> None:
        with pytest.raises(BadResponseError):
            read_response_head(200, b"OK", version, [])


_name = st.sampled_from([b"X", b"Connection", b"Host", b"Content-Length", b"Transfer-Encoding", b"Accept"])


@given(st.lists(st.tuples(_name, st.binary(max_size=12)), max_size=6), st.binary(max_size=20))
def test_any_head_is_read_or_refused(pairs: list[tuple[bytes, bytes]], target: bytes) -> None:
    lines = [(name.lower(), name, value) for name, value in pairs]
    try:
        head = read_request_head(b"POST", target, "1.1", lines)
    except BadRequestError:
        head = None
    assert head is None or not (head.chunked and head.content_length is not None)
    with suppress(BadResponseError):
        read_response_head(200, b"", "1.1", lines)

"""What goes up and what comes down: nothing of one hop, no key in a wrong place, no foreign line."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from tests.support.transport import headers

from weir.proxy.upstream import Upstream
from weir.proxy.wire.framing import read_request_head, read_response_head
from weir.proxy.wire.heads import RequestWriter, chunk, own_response, response_head

if TYPE_CHECKING:
    from typing import Any

PLAIN = Upstream(name="one", url="http://upstream.test:8000/base/v1")


def up(
    *lines: str,
    upstream: Upstream = PLAIN,
    pass_key: bool = True,
    identity: bool = False,
    trusted: bool = False,
) -> list[str]:
    """The lines of the head that an upstream gets."""
    head = read_request_head(b"POST", b"/v1/x?q=1", "1.1", headers("Host: weir.test", *lines))
    written = RequestWriter(upstream, pass_client_key=pass_key).head(
        head, body_bytes=5, identity=identity, client_address="192.0.2.7", trusted=trusted
    )
    assert written.endswith(b"\r\n\r\n")
    return written.decode("latin-1").split("\r\n")[:-2]


def down(*lines: str, status: int = 200, **wishes: Any) -> list[str]:
    """The lines of the head that a client gets."""
    defaults: dict[str, Any] = {
        "request_id": "id-1",
        "length": 3,
        "chunked": False,
        "connection": None,
        "drop": frozenset(),
        "extra": b"",
    }
    head = read_response_head(status, b"OK", "1.1", headers(*lines))
    written = response_head(head, **{**defaults, **wishes})
    assert written.endswith(b"\r\n\r\n")
    return written.decode("latin-1").split("\r\n")[:-2]


class TestUp:
    def test_the_whole_head(self) -> None:
        assert up("Content-Type: application/json", "Content-Length: 7", "X-Thing: a") == [
            "POST /base/v1/x?q=1 HTTP/1.1",
            "Host: upstream.test:8000",
            "Content-Type: application/json",
            "X-Thing: a",
            "Accept-Encoding: identity",
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: weir.test",
            "X-Forwarded-For: 192.0.2.7",
            "Content-Length: 5",
        ]

    TOLD = (
        *("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: told.test"),
        *("x-forwarded-for: 7.7.7.7, 8.8.8.8", "X-Forwarded-Port: 444", "Forwarded: for=6.6.6.6"),
        "X-Real-IP: 6.6.6.6",
    )

    def test_what_a_client_says_of_where_it_comes_from_is_not_believed(self) -> None:
        assert [line for line in up(*self.TOLD) if "orward" in line or "Real" in line] == [
            "X-Forwarded-Proto: http",
            "X-Forwarded-Host: weir.test",
            "X-Forwarded-For: 192.0.2.7",
        ]

    def test_a_trusted_proxy_is_believed_and_added_to_the_chain(self) -> None:
        assert [line for line in up(*self.TOLD, trusted=True) if "orward" in line or "Real" in line] == [
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: told.test",
            "X-Forwarded-Port: 444",
            "Forwarded: for=6.6.6.6",
            "X-Real-Ip: 6.6.6.6",
            "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 8.8.8.8, 192.0.2.7",
        ]

    def test_a_trusted_proxy_that_says_nothing_is_a_client(self) -> None:
        assert up(trusted=True) == up()

    def test_the_same_head_of_a_client_and_of_a_trusted_proxy_is_written_twice(self) -> None:
        head = read_request_head(b"GET", b"/v1/x", "1.1", headers("Host: a", "X-Forwarded-For: 6.6.6.6"))
        writer = RequestWriter(PLAIN, pass_client_key=True)
        for trusted in (False, True, False):
            written = writer.head(
                head, body_bytes=0, identity=False, client_address="192.0.2.7", trusted=trusted
            )
            assert (b"6.6.6.6" in written) is trusted

    def test_what_the_operator_sets_for_an_upstream_is_not_set_twice(self) -> None:
        upstream = Upstream(name="one", url="http://a", headers=(("x-forwarded-host", "b"),))
        assert [line for line in up(upstream=upstream) if "host" in line.lower()] == [
            "Host: a",
            "x-forwarded-host: b",
        ]

    def test_a_get_has_no_length_and_a_renamed_path_its_prefix(self) -> None:
        head = read_request_head(b"GET", b"/v1/models/a", "1.1", headers("Host: x"))
        written = RequestWriter(PLAIN, pass_client_key=True).head(
            head, body_bytes=0, identity=True, client_address="::1", path=b"/v1/models/b"
        )
        assert written.startswith(b"GET /base/v1/models/b HTTP/1.1\r\n")
        assert b"Content-Length" not in written

    @pytest.mark.parametrize(
        "line",
        [
            "Connection: keep-alive",
            "Keep-Alive: 5",
            "TE: gzip",
            "Trailer: X",
            "Upgrade: h2c",
            "HTTP2-Settings: AAA",
            "Proxy-Authorization: Basic x",
            "Proxy-Connection: close",
            "Cookie: session=1",
            "Expect: 100-continue",
            "Forwarded: for=192.0.2.1",
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Proto: https",
            "X-Real-IP: 192.0.2.1",
            "x-weir-user: ada",
            "X-Weir-Anything: x",
        ],
    )
    def test_what_stays_here(self, line: str) -> None:
        assert up(line) == up()

    @pytest.mark.parametrize("line", ["TE: trailers", "te: gzip;q=0.5, Trailers", "TE: trailers ,x"])
    def test_who_takes_trailers_says_so_for_one_hop_and_we_for_ours(self, line: str) -> None:
        assert up(line, "Connection: TE") == [*up()[:-4], "TE: trailers", "Connection: TE", *up()[-4:]]

    def test_trailers_are_announced_where_there_are_chunks(self) -> None:
        head = read_request_head(b"POST", b"/v1/x", "1.1", headers("Host: x", "trailer: X-A, X-B"))
        writer = RequestWriter(PLAIN, pass_client_key=True)
        chunked = writer.head(head, body_bytes=None, identity=True, client_address="::1")
        assert chunked.endswith(b"::1\r\nTransfer-Encoding: chunked\r\nTrailer: X-A, X-B\r\n\r\n")
        assert b"Trailer" not in writer.head(head, body_bytes=5, identity=True, client_address="::1")

    @pytest.mark.parametrize(
        "lines",
        [
            ("Connection: X-Hop", "X-Hop: 1"),
            ("Connection: close, x-hop", "X-HOP: 1"),
            ("Connection: X-Hop", "Connection: close", "X-Hop: 1"),
            ("Connection: close", "Connection: X-Hop", "X-Hop: 1"),
            ("Connection: ,X-Hop ,", "X-Hop: 1", "X-Hop: 2"),
        ],
    )
    def test_headers_of_one_hop_stay_here(self, lines: tuple[str, ...]) -> None:
        assert up(*lines) == up()

    def test_a_named_header_does_not_take_ours_along(self) -> None:
        assert up("Connection: Host, Content-Length, X-Forwarded-For") == up()

    @pytest.mark.parametrize(
        ("asked", "identity", "passed"),
        [
            ("gzip, br;q=0.9, deflate;q=0.5", False, "gzip, br;q=0.9, deflate;q=0.5"),
            ("br, zstd, compress", False, "br, zstd"),
            ("gzip", True, "identity"),
            ("GZIP", False, "GZIP"),
            ("", False, "identity"),
        ],
    )
    def test_only_codings_that_we_can_read_are_asked_for(
        self, asked: str, identity: bool, passed: str
    ) -> None:
        assert f"Accept-Encoding: {passed}" in up(f"Accept-Encoding: {asked}", identity=identity)

    @pytest.mark.parametrize("line", ["Authorization: Bearer sk-client", "x-api-key: sk-client"])
    def test_the_clients_key_goes_where_it_is_meant_for(self, line: str) -> None:
        keyed = Upstream(name="two", url="http://upstream.test", api_key="sk-ours")
        assert line in up(line)
        assert "sk-client" not in " ".join(up(line, pass_key=False))
        ours = up(line, upstream=keyed, pass_key=False)
        assert "Authorization: Bearer sk-ours" in ours
        assert "sk-client" not in " ".join(ours)

    def test_the_operators_headers_replace_the_clients(self) -> None:
        upstream = Upstream(name="two", url="http://upstream.test", headers=(("X-Team", "ours"),))
        lines = up("x-team: theirs", "X-TEAM: theirs too", upstream=upstream)
        assert [line for line in lines if line.lower().startswith("x-team")] == ["X-Team: ours"]

    def test_values_go_up_byte_by_byte(self) -> None:
        assert "X-Name: Zo\xeb \xff" in up("X-Name: Zo\xeb \xff")


class TestDown:
    def test_the_whole_head(self) -> None:
        assert down("Content-Type: a/b", "Content-Length: 3", "X-Request-Id: r", status=429) == [
            "HTTP/1.1 429 OK",
            "Content-Type: a/b",
            "X-Request-Id: r",
            "x-weir-request-id: id-1",
            "Content-Length: 3",
        ]

    @pytest.mark.parametrize(
        "line",
        [
            "Connection: close",
            "Keep-Alive: timeout=5",
            "Transfer-Encoding: chunked",
            "Trailer: X",
            "Upgrade: h2c",
            "Set-Cookie: a=1",
            "Server: uvicorn",
            'Alt-Svc: h3=":443"',
            "Strict-Transport-Security: max-age=1",
            "Access-Control-Allow-Origin: *",
            "access-control-anything: x",
            "x-weir-request-id: forged",
        ],
    )
    def test_what_does_not_come_down(self, line: str) -> None:
        assert down(line) == down()

    def test_trailers_are_announced_where_there_are_chunks(self) -> None:
        assert "Trailer: X-A" in down("Trailer: X-A", length=None, chunked=True)

    def test_headers_of_one_hop_do_not_come_down(self) -> None:
        assert down("Connection: X-Hop", "Connection: close", "X-Hop: 1") == down()

    def test_how_the_body_is_framed_is_ours(self) -> None:
        assert down(length=None, chunked=True, connection=b"close")[-2:] == [
            "Transfer-Encoding: chunked",
            "Connection: close",
        ]
        assert not any("ength" in line for line in down("Content-Length: 3", length=None))

    def test_what_is_no_longer_true_is_dropped(self) -> None:
        assert down("Content-Encoding: gzip", drop=frozenset({b"content-encoding"})) == down()


def test_our_own_response_is_whole() -> None:
    response = own_response(
        HTTPStatus.TOO_MANY_REQUESTS,
        b"{}",
        request_id="id-1",
        close=True,
        headers=((b"Retry-After", b"1"),),
        extra=b"Vary: Origin\r\n",
    )
    assert response == (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nVary: Origin\r\n"
        b"Retry-After: 1\r\nx-weir-request-id: id-1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )


def test_a_chunk() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"

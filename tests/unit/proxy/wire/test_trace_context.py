"""Traces are continued where the caller names one as the standard says, and begun where not."""

from __future__ import annotations

import re

import pytest
from tests.support.transport import headers

from weir.proxy.metering.ids import RequestIds
from weir.proxy.upstream import Upstream
from weir.proxy.wire.framing import read_request_head
from weir.proxy.wire.heads import RequestWriter
from weir.proxy.wire.trace_context import Trace, header_line, own_ids, read_trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def traced(*lines: str) -> Trace | None:
    return read_trace(read_request_head(b"POST", b"/v1/x", "1.1", headers("Host: weir.test", *lines)))


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (f"00-{TRACE}-{PARENT}-01", "01"),
        (f"00-{TRACE}-{PARENT}-00", "00"),
        (f"00-{TRACE}-{PARENT}-ff", "03"),
        (f"cc-{TRACE}-{PARENT}-03", "03"),
        (f"cc-{TRACE}-{PARENT}-01-what-will-be-there", "01"),
    ],
)
def test_a_valid_header_is_continued(value: str, flags: str) -> None:
    assert traced(f"TraceParent: {value}") == Trace(TRACE, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-011",
        f"00-{TRACE}-{PARENT}-01-more",
        f"cc-{TRACE}-{PARENT}-01more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0x",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01",
    ],
)
def test_anything_else_is_not(value: str) -> None:
    assert traced(f"traceparent: {value}") is None


def test_two_headers_name_no_trace() -> None:
    assert traced(*[f"traceparent: 00-{TRACE}-{PARENT}-01"] * 2) is None
    assert traced() is None


def test_our_own_ids_are_of_the_right_form() -> None:
    seen: set[str] = set()
    for request_id in (RequestIds().next(1_000_000 * number) for number in range(200)):
        trace_id, span_id = own_ids(request_id)
        assert re.fullmatch("[0-9a-f]{32}", trace_id)
        assert re.fullmatch("[0-9a-f]{16}", span_id)
        assert int(span_id, 16)
        seen.add(span_id)
        line = header_line(trace_id, span_id, "01")
        assert traced(line.decode().strip()) == Trace(trace_id, "01")
    assert len(seen) == 200


def up(*lines: str) -> list[str]:
    head = read_request_head(b"POST", b"/v1/x", "1.1", headers("Host: weir.test", *lines))
    writer = RequestWriter(Upstream(name="one", url="http://upstream.test"), pass_client_key=True)
    line = header_line("a" * 32, "b" * 16, "01")
    written = writer.head(head, body_bytes=5, identity=True, client_address="192.0.2.7", trace_line=line)
    found = written.decode().split("\r\n")
    return [line for line in found if line.lower().startswith("trace")]


def test_what_the_upstream_gets() -> None:
    """One traceparent, ours; the caller's state with a trace that is known, and without one not."""
    ours = f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"
    state = ["tracestate: a=1", "TraceState: b=2"]
    assert up() == [ours]
    assert up(f"Traceparent: 00-{TRACE}-{PARENT}-01", *state) == [*state, ours]
    assert up("traceparent: nonsense", *state) == [ours]
    assert up(*state) == [ours]

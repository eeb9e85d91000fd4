"""What the parent tells a worker comes over as it was said."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from weir.proxy.upstream import Timeouts, Upstream
from weir.proxy.worker_plan import Config, WorkerPlan

_text = st.text('aé"\\\n🙂', max_size=5)
_upstreams = st.builds(
    Upstream,
    name=_text,
    url=_text,
    api_key=st.none() | _text,
    models=st.lists(_text, max_size=2).map(tuple),
    weight=st.floats(0.1, 10),
    rename=st.dictionaries(_text, _text, max_size=2),
    timeouts=st.none() | st.just(Timeouts(1.0, 2.5, 3.0, 4.0)),
    headers=st.lists(st.tuples(_text, _text), max_size=2).map(tuple),
)


@given(st.lists(_upstreams, max_size=3).map(tuple), st.dictionaries(_text, _text, max_size=2))
def test_round_trip(upstreams: tuple[Upstream, ...], clients: dict[str, str]) -> None:
    plan = WorkerPlan(
        writer="boot-1",
        proxy_id="p1",
        journal_directory="/data",
        journal_max_bytes=1 << 40,
        journal_sync=True,
        journal_reject=False,
        listen_fd=3,
        counters_fd=4,
        measures_fd=5,
        metrics_models=50,
        config=Config(upstreams=upstreams, clients=clients),
        open_groups=("files",),
        cors_origins=("*",),
        proxy_protocol=True,
        max_in_flight=10,
        max_body_bytes=1 << 33,
        max_upload_bytes=1 << 34,
        min_body_rate=500,
        connect_timeout=0.5,
        first_byte_timeout=1.0,
        idle_timeout=2.0,
        total_timeout=3.0,
        head_timeout=4.0,
        keep_alive_timeout=5.0,
        drain_seconds=6.0,
        log_level="info",
        log_format="json",
    )
    line = msgspec.json.encode(plan)
    assert b"\n" not in line, "a plan is one line"
    assert msgspec.json.decode(line, type=WorkerPlan) == plan

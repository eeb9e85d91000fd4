"""Every endpoint of the real process: right answers, and clear refusals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.support.builders import make_event
from tests.support.metrics_api import MetricsApi
from tests.support.processes import NotReadyError, start, until
from tests.support.promtool import assert_promtool_passes
from tests.support.redis_server import RedisServer
from tests.support.traffic import beat

from weir.events import Outcome, RequestEvent, UsageSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SNAPSHOT_FIELDS = {
    "timestamp", "variant", "requests_2xx", "requests_4xx", "requests_5xx", "tokens_input", "tokens_output",
    "tokens_cache_read", "tokens_cache_write", "concurrent_requests", "max_workers", "rate_limit_rps",
    "rate_limit_rejections", "rate_limit_adj_increase", "rate_limit_adj_decrease", "upstream_errors",
    "retry_attempts", "latency_p50", "latency_p95", "latency_p99", "request_size_avg", "response_size_avg",
    "token_rate_in", "token_rate_out", "token_rate_cache_read", "token_rate_cache_write", "req_rate",
    "error_rate_pct", "worker_utilization", "status_code_rates",
}  # fmt: skip
STATUS_FIELDS = {
    "healthy", "last_scrape", "req_rate", "error_rate_pct", "latency_p50_ms", "concurrent",
    "worker_utilization", "rate_limit_rps", "token_rate_in", "token_rate_out",
}  # fmt: skip


def traffic(now_us: int) -> list[RequestEvent]:
    """Forty minutes: 30 requests that went well, 6 that did not, 4 on the canary."""
    minute = 60_000_000
    well = [make_event(started_at=now_us - i * minute, prompt_tokens=10) for i in range(30)]
    failed = [
        make_event(
            started_at=now_us - i * minute,
            outcome=[Outcome.TIMEOUT, Outcome.CLIENT_ERROR, Outcome.CANCELLED][i % 3],
            status_code=[504, 429, None][i % 3],
            model=None,
            prompt_tokens=None,
            completion_tokens=None,
            time_to_first_token_ms=None,
            time_to_last_token_ms=None,
            usage_source=UsageSource.MISSING,
            user="bob",
        )
        for i in range(6)
    ]
    canary = [
        make_event(
            started_at=now_us - i * minute, variant="canary", model="qwen3", prompt_tokens=5, user=None
        )
        for i in range(4)
    ]
    return [*well, *failed, *canary]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsApi]:
    """One process for all questions: they change nothing."""
    folder = tmp_path_factory.mktemp("rest")
    redis = RedisServer(folder / "redis")
    redis.start()
    with MetricsApi(redis.url, folder / "data") as running:
        running.send(traffic(time.time_ns() // 1000))
        running.wait_for(40)
        yield running
    redis.stop()


def test_health(api: MetricsApi) -> None:
    assert api.json("/healthz") == {"status": "ok"}
    ready = api.json("/readyz")
    pipeline = ready["checks"].pop("pipeline")
    assert pipeline["ok"] is True
    assert ready == {
        "status": "ok",
        "checks": {
            "redis": {"ok": True, "detail": "connected"},
            "database": {"ok": True, "detail": "sqlite"},
        },
    }


def test_own_metrics_are_prometheus_text(api: MetricsApi) -> None:
    text = api.get("/metrics").text
    assert "weir_ingest_stored_total 40.0" in text
    assert "process_resident_memory_bytes" in text


def test_promtool_passes_its_own_metrics(api: MetricsApi, tmp_path: Path) -> None:
    assert_promtool_passes(api.get("/metrics").text, tmp_path)


def test_status(api: MetricsApi) -> None:
    status = api.json("/api/status")
    assert set(status) == {"production", "canary"}
    assert all(set(values) == STATUS_FIELDS for values in status.values())
    assert status["canary"]["healthy"] is True
    assert status["canary"]["rate_limit_rps"] is None


@pytest.mark.parametrize("range_", ["5m", "15m", "1h", "6h", "24h", "7d"])
def test_metrics_are_snapshots_oldest_first(api: MetricsApi, range_: str) -> None:
    found = api.json("/api/metrics", range=range_)
    assert all(set(snapshot) == SNAPSHOT_FIELDS for snapshot in found)
    stamps = [snapshot["timestamp"] for snapshot in found]
    assert stamps == sorted(stamps)
    newest = {snapshot["variant"]: snapshot for snapshot in found}
    assert newest["production"]["requests_2xx"] == 30, "running totals are the same at every range"
    assert newest["production"]["requests_4xx"] == 2
    assert newest["production"]["requests_5xx"] == 2
    assert newest["canary"]["tokens_input"] == 20


def test_metrics_of_one_variant(api: MetricsApi) -> None:
    assert {s["variant"] for s in api.json("/api/metrics", variant="canary")} == {"canary"}
    assert {s["variant"] for s in api.json("/api/metrics", variant="all")} == {"production", "canary"}


def test_config(api: MetricsApi) -> None:
    config = api.json("/api/config")
    assert config.pop("version")
    assert config == {
        "scrape_interval": 5,
        "targets": [],
        "retention": {"5s": 86400, "1m": 604800},
        "database": "sqlite",
        "percentile_error_pct": 1,
    }


def test_pages_of_requests(api: MetricsApi) -> None:
    first = api.json("/api/requests", limit=15)
    second = api.json("/api/requests", limit=15, cursor=first["next_cursor"])
    third = api.json("/api/requests", limit=15, cursor=second["next_cursor"])
    assert [len(page["items"]) for page in (first, second, third)] == [15, 15, 10]
    assert third["next_cursor"] is None
    items = [item for page in (first, second, third) for item in page["items"]]
    assert len({item["request_id"] for item in items}) == 40
    moments = [item["started_at"] for item in items]
    assert moments == sorted(moments, reverse=True)
    assert set(items[0]) == {*RequestEvent.__struct_fields__, *DERIVED} - {"journal", "sequence"}


DERIVED = ("tokens_per_second", "cost_usd", "price_version", "cost_status")


def test_one_request(api: MetricsApi) -> None:
    listed = api.json("/api/requests", limit=1)["items"][0]
    assert api.json(f"/api/requests/{listed['request_id']}") == listed
    assert listed["tokens_per_second"] is None or listed["tokens_per_second"] > 0
    for unknown in ("00000000-0000-7000-8000-000000000000", "nonsense", "%00", "x" * 3000):
        answer = api.get(f"/api/requests/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"model": "llama3"}, 36), ({"model": "qwen3"}, 4), ({"model": "llama3,qwen3"}, 40),
        ({"variant": "canary"}, 4), ({"variant": "production"}, 36), ({"variant": "all"}, 40),
        ({"user": "bob"}, 6), ({"outcome": "timeout"}, 2), ({"outcome": "timeout,cancelled"}, 4),
        ({"status": "429"}, 2), ({"status": "5xx"}, 2), ({"status": "2xx,429"}, 36),
        ({"upstream": "nowhere"}, 0), ({"provider": "ollama", "user": "ada"}, 30),
        ({"range": "10m"}, 10 + 6 + 4),
    ],
)  # fmt: skip
def test_filters_agree_on_rows_and_sums(api: MetricsApi, parameters: dict[str, str], count: int) -> None:
    assert len(api.all_requests(**{"range": "1h", **parameters})) == count
    summary = api.json("/api/summary", **parameters)
    assert summary["total"]["requests"] == pytest.approx(count, abs=1 if "range" in parameters else 0)
    series = api.json("/api/series", metrics="requests", **parameters)
    assert sum(series["series"]["requests"]["all"]) == summary["total"]["requests"]


def test_summary(api: MetricsApi) -> None:
    summary = api.json("/api/summary", by="model")
    total = summary["total"]
    assert (total["requests"], total["errors"], total["error_rate_pct"]) == (40, 2, 5.0)
    assert total["outcomes"] == {"completed": 34, "timeout": 2, "client_error": 2, "cancelled": 2}
    assert total["status_classes"] == {"2xx": 34, "4xx": 2, "5xx": 2}
    assert total["tokens_input"] == 320
    assert total["tokens_cache_write"] is None
    assert total["usage_coverage_pct"] == 100
    assert total["ttft_ms"]["n"] == 34
    assert total["ttft_ms"]["p50"] == pytest.approx(120.25, rel=0.01)
    assert total["latency_ms"]["p99"] == pytest.approx(1121.5, rel=0.01)
    assert total["tokens_per_second"]["p50"] == pytest.approx(100, rel=0.01)
    assert (total["cost_usd"], total["cost_status"]) == (None, "unpriced")
    assert summary["previous"]["requests"] == 0
    assert summary["previous"]["error_rate_pct"] is None
    assert summary["previous"]["ttft_ms"] == {"p50": None, "p95": None, "p99": None, "n": 0}
    assert summary["source"].startswith("rollup_")
    assert summary["complete"] is True
    assert abs(summary["last_request_at"] - time.time() * 1000) < 120_000
    llama, qwen = summary["groups"]
    assert (llama["key"], llama["requests"], llama["provider"]) == ({"model": "llama3"}, 36, "ollama")
    assert (qwen["key"], qwen["share_pct"]) == ({"model": "qwen3"}, 10)
    assert len(llama["strip"]) == 30
    assert sum(part["requests"] for part in llama["strip"] if part) == 36
    assert sum(part["errors"] for part in llama["strip"] if part) == 2


@pytest.mark.parametrize(
    "by", ["variant", "outcome", "upstream", "provider", "project", "api_key_id", "endpoint", "user"]
)
def test_summary_and_series_by_any_dimension(api: MetricsApi, by: str) -> None:
    summary = api.json("/api/summary", by=by)
    assert sum(group["requests"] for group in summary["groups"]) == 40
    series = api.json("/api/series", metrics="requests,ttft_p95", by=by)
    assert sum(sum(values) for values in series["series"]["requests"].values()) == 40
    assert set(series["series"]["requests"]) == set(series["series"]["ttft_p95"])
    assert (summary["source"] == "rows") is (by == "user")


def test_series(api: MetricsApi) -> None:
    found = api.json("/api/series", metrics="requests,error_rate_pct,latency_p50")
    assert found["step"] == 10_000
    assert found["t0"] % 10_000 == 0
    lengths = {len(values) for by_group in found["series"].values() for values in by_group.values()}
    assert lengths <= {360, 361}
    requests = found["series"]["requests"]["all"]
    latency = found["series"]["latency_p50"]["all"]
    assert all((count == 0) <= (value is None) for count, value in zip(requests, latency, strict=True))
    assert found["complete_until"] <= time.time() * 1000


def test_catalog(api: MetricsApi) -> None:
    metrics = api.json("/api/catalog")["metrics"]
    slugs = [metric["slug"] for metric in metrics]
    assert {"requests", "ttft_p95", "usage_coverage_pct"} <= set(slugs)
    assert all(set(metric) == {"slug", "title", "unit", "description"} for metric in metrics)
    everything = api.json("/api/series", metrics=",".join(slugs[:20]))
    assert list(everything["series"]) == slugs[:20]


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        ("/api/requests", {"range": "1 hour"}, "invalid_range"),
        ("/api/requests", {"range": "91d"}, "invalid_range"),
        ("/api/requests", {"range": "1h", "from": "1", "to": "2"}, "invalid_range"),
        ("/api/requests", {"from": "5", "to": "1"}, "invalid_range"),
        ("/api/requests", {"cursor": "abc"}, "invalid_cursor"),
        ("/api/requests", {"cursor": "A" * 5000}, "invalid_cursor"),
        ("/api/requests", {"cursor": "ü"}, "invalid_cursor"),
        ("/api/requests", {"limit": "0"}, "invalid_parameter"),
        ("/api/requests", {"limit": "201"}, "invalid_parameter"),
        ("/api/requests", {"limit": "1e2"}, "invalid_parameter"),
        ("/api/requests", {"nonsense": "1"}, "invalid_parameter"),
        ("/api/requests", {"outcome": "fine"}, "invalid_parameter"),
        ("/api/requests", {"status": "700"}, "invalid_parameter"),
        ("/api/requests", {"model": ["a", "b"]}, "invalid_parameter"),
        ("/api/summary", {"by": "moon"}, "invalid_parameter"),
        ("/api/series", {}, "invalid_parameter"),
        ("/api/series", {"metrics": "nope"}, "invalid_parameter"),
        ("/api/series", {"metrics": "requests", "step": "7"}, "invalid_range"),
        ("/api/series", {"metrics": "requests", "step": "5000", "range": "7d"}, "invalid_range"),
        ("/api/metrics", {"range": "2h"}, "invalid_parameter"),
        ("/api/metrics", {"variant": "blue"}, "invalid_parameter"),
        ("/api/status", {"x": "1"}, "invalid_parameter"),
        ("/api/events", {"topics": "gossip"}, "invalid_parameter"),
        ("/api/events", {"last_event_id": "yesterday"}, "invalid_parameter"),
    ],
)
def test_a_wrong_question_is_refused_with_a_reason(
    api: MetricsApi, path: str, parameters: dict[str, Any], code: str
) -> None:
    answer = api.get(path, **parameters)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "code", "detail"}
    assert (body["status"], body["code"]) == (400, code)
    assert len(body["detail"]) > 20


def test_a_cursor_is_bound_to_its_filters(api: MetricsApi) -> None:
    cursor = api.json("/api/requests", limit=2, model="llama3")["next_cursor"]
    answer = api.get("/api/requests", limit=2, model="qwen3", cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_unknown_paths_and_methods(api: MetricsApi) -> None:
    assert api.get("/api/nothing").json()["code"] == "not_found"
    answer = httpx.post(f"{api.url}/api/requests", trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_gauges_come_from_the_heartbeats(redis_server: RedisServer, tmp_path: Path) -> None:
    with MetricsApi(redis_server.url, tmp_path / "data") as api:
        beat(api.redis, in_flight=10, accepted=5)
        status = until(
            lambda: (s := api.json("/api/status")["production"])["concurrent"] is not None and s, "gauges", 15
        )
        assert (status["concurrent"], status["worker_utilization"]) == (10, 0.05)
        snapshot = api.json("/api/metrics", range="5m")[-1]
        assert (snapshot["concurrent_requests"], snapshot["max_workers"]) == (10, 200)
        assert (snapshot["req_rate"], snapshot["error_rate_pct"], snapshot["latency_p50"]) == (0, None, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"DB_PATH": "/proc/nowhere/weir.db"}, "cannot write to /proc/nowhere/weir.db"),
        ({"WEIR_DATA_DIR": "/dev/null"}, "WEIR_DATA_DIR"),
        ({"DB_PATH": "mysql://x/y"}, "a mysql database is not supported"),
        ({"WEIR_API_LISTEN": "nonsense"}, "WEIR_API_LISTEN"),
    ],
)
def test_what_prevents_a_start_is_said_in_a_line(
    tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    environment = {"WEIR_DATA_DIR": str(tmp_path), "WEIR_API_LISTEN": "127.0.0.1:0", **settings}
    with pytest.raises(NotReadyError) as caught:
        start(["python", "-m", "weir.metrics_api"], environment, cwd=tmp_path)
    said = str(caught.value).splitlines()[1:]
    assert len(said) == 1, said
    assert message in said[0]


def test_a_taken_port_is_said_in_a_line(api: MetricsApi, tmp_path: Path) -> None:
    port = api.url.rpartition(":")[2]
    process = start(
        ["python", "-m", "weir.metrics_api"],
        {"WEIR_DATA_DIR": str(tmp_path), "WEIR_API_LISTEN": f"127.0.0.1:{port}"},
        cwd=tmp_path,
        announces=False,
    )
    assert process.wait() == 2
    assert process.stop() == 2
    assert f"port {port} on 127.0.0.1 is taken" in process.stderr
    assert "WEIR_API_LISTEN" in process.stderr

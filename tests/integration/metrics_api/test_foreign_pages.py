"""Pages of other origins: none may read the API, unless it is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from tests.support.metrics_api import MetricsApi

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.redis_server import RedisServer

PAGE = "https://app.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}


def test_by_default_no_origin_is_allowed(api: MetricsApi) -> None:
    answer = httpx.get(f"{api.url}/api/status", headers={"Origin": PAGE}, trust_env=False)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    refused = httpx.options(f"{api.url}/graphql", headers=PREFLIGHT, trust_env=False)
    assert refused.status_code == 405
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_named_origin_may_ask_everything_live_events_too(redis_server: RedisServer, tmp_path: Path) -> None:
    with MetricsApi(redis_server.url, tmp_path, {"WEIR_API_CORS_ORIGINS": f"{PAGE}/"}) as api:
        headers = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
        allowed = httpx.options(f"{api.url}/graphql", headers=PREFLIGHT, trust_env=False)
        assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        asked = httpx.post(
            f"{api.url}/graphql", json={"query": "{ __typename }"}, headers=headers, trust_env=False
        )
        assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
        with httpx.stream("GET", f"{api.url}/api/events", headers=headers, trust_env=False) as events:
            assert events.headers["Access-Control-Allow-Origin"] == PAGE
        other = httpx.get(
            f"{api.url}/api/status", headers={"Origin": "https://evil.example"}, trust_env=False
        )
        assert "Access-Control-Allow-Origin" not in other.headers

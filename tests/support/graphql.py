"""Asking a metrics API's `/graphql`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.support.metrics_api import MetricsApi


def post(api: MetricsApi, body: Any, **headers: str) -> httpx.Response:
    """Any answer; header names with underscores for dashes."""
    return httpx.post(
        f"{api.url}/graphql",
        json=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        trust_env=False,
        timeout=20,
    )


def ask(api: MetricsApi, query: str, **variables: Any) -> dict[str, Any]:
    """The response of one query."""
    answer = post(api, {"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def data(api: MetricsApi, query: str, **variables: Any) -> dict[str, Any]:
    """The data of a query that must work."""
    answer = ask(api, query, **variables)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]

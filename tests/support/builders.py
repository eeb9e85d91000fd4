"""Records for tests: plausible unless told otherwise."""

from __future__ import annotations

import os
import time
from typing import Any, Final
from uuid import UUID

from weir.events import Outcome, RequestEvent, UsageSource

MOMENT: Final = 1_700_000_000_000_000
"""A fixed time, µs since the epoch: 14 November 2023, 22:13:20 UTC."""


def make_request_id(started_at: int = MOMENT) -> str:
    """A UUIDv7 of that moment."""
    ms = (started_at // 1000) & ((1 << 48) - 1)
    random = int.from_bytes(os.urandom(10), "big")
    number = ms << 80 | 0x7 << 76 | (random >> 4 & 0xFFF) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return str(UUID(int=number))


def make_event(**overrides: Any) -> RequestEvent:
    """A completed, streamed chat completion. `started_at` is `MOMENT`; `started_at=None` means now."""
    if "started_at" in overrides and overrides["started_at"] is None:
        overrides["started_at"] = time.time_ns() // 1000
    started_at = overrides.get("started_at", MOMENT)
    values: dict[str, Any] = {
        "request_id": make_request_id(started_at),
        "proxy_id": "proxy-1",
        "started_at": started_at,
        "endpoint": "chat.completions",
        "outcome": Outcome.COMPLETED,
        "upstream_request_id": "chatcmpl-8f14e45fceea167a5a36dedd4bea2543",
        "user": "ada",
        "provider": "ollama",
        "upstream": "local",
        "variant": "production",
        "model_requested": "llama3",
        "model": "llama3",
        "stream": True,
        "status_code": 200,
        "finish_reason": "stop",
        "queue_ms": 0.02,
        "connect_ms": 0.0,
        "upstream_headers_ms": 81.5,
        "time_to_first_token_ms": 120.25,
        "time_to_last_token_ms": 1120.25,
        "duration_ms": 1121.5,
        "proxy_overhead_ms": 0.31,
        "max_token_gap_ms": 41.0,
        "prompt_tokens": 40,
        "completion_tokens": 101,
        "total_tokens": 141,
        "cache_read_tokens": 0,
        "usage_source": UsageSource.REPORTED,
        "usage_raw": {
            "prompt_tokens": 40,
            "completion_tokens": 101,
            "total_tokens": 141,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "request_bytes": 612,
        "response_bytes": 28411,
        "content_chunks": 101,
    }
    return RequestEvent(**{**values, **overrides})

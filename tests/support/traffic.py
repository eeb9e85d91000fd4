"""Plausible traffic, straight onto the stream: a past to look at, and a trickle that goes on.

    python -m tests.support.traffic --redis redis://127.0.0.1:6379/0 --count 20000 --hours 24 --live 3

It stands in for proxies where there are none: records, and a heartbeat while it runs live.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from redis import Redis
from tests.support.builders import make_event, make_request_id

from weir.events import Attempt, Outcome, RequestEvent, UsageSource, encode
from weir.events.heartbeat import EXPIRE_SECONDS, Heartbeat, VariantLoad, to_hash
from weir.events.stream import FIELD, REQUESTS, heartbeat_key

if TYPE_CHECKING:
    from collections.abc import Iterable

BATCH: Final = 500
_MICRO: Final = 1_000_000
_PROXY: Final = "traffic-1"


class Model(msgspec.Struct, frozen=True):
    """How one model behaves."""

    name: str
    provider: str
    upstream: str
    weight: int
    ttft_ms: float
    tokens_per_second: float
    reasoning: bool = False


MODELS: Final = (
    Model("llama3.1:8b", "ollama", "local", 40, 180, 62),
    Model("qwen3:32b", "vllm", "gpu-1", 22, 420, 38, reasoning=True),
    Model("mistral-small", "vllm", "gpu-1", 14, 240, 55),
    Model("gpt-4o-mini", "openai", "openai", 14, 520, 85),
    Model("deepseek-r1:70b", "vllm", "gpu-2", 6, 1400, 24, reasoning=True),
    Model("demo", "echo", "demo", 4, 90, 120),
)
USERS: Final = ("ada", "grace", "linus", "margaret", "edsger", "barbara", "ci-bot", None)
PROJECTS: Final = ("search", "support", "ide", None)
FAILURES: Final = (
    (Outcome.UPSTREAM_ERROR, 502, "connect_error", "connection refused"),
    (Outcome.UPSTREAM_ERROR, 500, "upstream_5xx", "CUDA out of memory"),
    (Outcome.TIMEOUT, 504, "first_byte_timeout", "no first byte within 60 s"),
    (Outcome.TRUNCATED, 200, "stream_cut", "the upstream closed before [DONE]"),
    (Outcome.CLIENT_ERROR, 400, "invalid_request_error", "max_tokens is too large"),
    (Outcome.CLIENT_ERROR, 429, "rate_limit_exceeded", "rate limit reached"),
    (Outcome.REJECTED, 404, "model_not_found", "unknown model"),
    (Outcome.CANCELLED, 200, "client_disconnected", None),
    (Outcome.CANCELLED, None, "client_disconnected", None),
)


def event(started_at: int, source: random.Random) -> RequestEvent:
    """One request as it might have been."""
    model = source.choices(MODELS, [model.weight for model in MODELS])[0]
    values: dict[str, Any] = {
        "started_at": started_at,
        "request_id": make_request_id(started_at),
        "proxy_id": _PROXY,
        "provider": model.provider,
        "upstream": model.upstream,
        "model": model.name,
        "model_requested": model.name,
        "variant": "canary" if model.upstream == "gpu-1" and source.random() < 0.2 else "production",
        "user": source.choice(USERS),
        "project": source.choice(PROJECTS),
        "stream": source.random() < 0.8,
    }
    values |= _times(model, values["variant"], source)
    if source.random() < 0.05:
        values |= _failure(source)
    elif source.random() < 0.1:
        values |= {"usage_source": UsageSource.MISSING, "usage_raw": None} | dict.fromkeys(
            ("prompt_tokens", "completion_tokens", "total_tokens", "cache_read_tokens", "reasoning_tokens")
        )
    if not values["stream"] and "time_to_first_token_ms" in values:
        values["time_to_last_token_ms"] = values["time_to_first_token_ms"]
    return make_event(**values)


def history(count: int, hours: float, now_us: int, source: random.Random) -> Iterable[RequestEvent]:
    """`count` requests over the last hours, more by day than by night, oldest first."""
    span = hours * 3600 * _MICRO
    moments: list[float] = []
    while len(moments) < count:
        moment = now_us - source.random() * span
        hour = moment / _MICRO / 3600 % 24
        if source.random() < 0.55 + 0.45 * math.sin((hour - 9) / 24 * 2 * math.pi):
            moments.append(moment)
    return (event(int(moment), source) for moment in sorted(moments))


def send(redis: Redis, events: Iterable[RequestEvent]) -> int:
    """Put records onto the stream; how many."""
    sent = 0
    batch: list[bytes] = []
    for record in events:
        batch.append(encode(record))
        if len(batch) == BATCH:
            sent += _flush(redis, batch)
            batch = []
    return sent + _flush(redis, batch)


def beat(redis: Redis, in_flight: int, accepted: int) -> None:
    """A heartbeat as a proxy's."""
    now = time.time_ns() // 1000
    heartbeat = Heartbeat(
        proxy_id=_PROXY, boot_id="traffic", version="0", started_at=now, sent_at=now, workers=2,
        max_in_flight=200, variants={"production": VariantLoad(in_flight=in_flight)},
        accepted=accepted, journaled=accepted, acknowledged=accepted, dropped=0,
    )  # fmt: skip
    redis.hset(heartbeat_key(_PROXY), mapping=to_hash(heartbeat))
    redis.expire(heartbeat_key(_PROXY), EXPIRE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--count", type=int, default=20_000, help="requests of the past")
    parser.add_argument("--hours", type=float, default=24.0, help="how far back they reach")
    parser.add_argument("--live", type=float, default=0.0, help="requests per second from now on; 0 ends")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    source = random.Random(arguments.seed)  # noqa: S311 - made-up traffic
    redis = Redis.from_url(arguments.redis)
    sent = send(redis, history(arguments.count, arguments.hours, time.time_ns() // 1000, source))
    print(f"sent {sent} requests of the last {arguments.hours:g} h")  # noqa: T201 - a command talks
    while arguments.live > 0:
        time.sleep(source.expovariate(arguments.live))
        finished = time.time_ns() // 1000 - int(source.uniform(0.2, 2.0) * _MICRO)
        sent += send(redis, [event(finished, source)])
        beat(redis, source.randrange(1, 30), sent)


def _times(model: Model, variant: str, source: random.Random) -> dict[str, Any]:
    slow = 1.35 if variant == "canary" else 1.0
    first = model.ttft_ms * source.lognormvariate(0, 0.35) * slow
    prompt, answer = int(source.lognormvariate(6.2, 1.0)), int(source.lognormvariate(5.0, 0.8)) + 2
    last = first + (answer - 1) / (model.tokens_per_second * source.lognormvariate(0, 0.15)) * 1000
    reasoning = answer // 3 if model.reasoning else None
    return {
        "upstream_headers_ms": round(first * 0.7, 3),
        "time_to_first_token_ms": round(first, 3),
        "time_to_first_answer_ms": round(first + (last - first) / 3, 3) if model.reasoning else None,
        "time_to_last_token_ms": round(last, 3),
        "duration_ms": round(last + 1.2, 3),
        "connect_ms": 0.0 if source.random() < 0.95 else 1.4,
        "queue_ms": 0.02,
        "proxy_overhead_ms": round(source.uniform(0.15, 0.6), 3),
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "cache_read_tokens": int(prompt * source.random() * 0.6),
        "reasoning_tokens": reasoning,
        "usage_raw": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
        "request_bytes": prompt * 4 + 200,
        "response_bytes": answer * 280,
        "content_chunks": answer,
    }


def _failure(source: random.Random) -> dict[str, Any]:
    outcome, status, kind, message = source.choice(FAILURES)
    values: dict[str, Any] = {
        "outcome": outcome,
        "status_code": status,
        "error_type": kind,
        "error_message": message,
        "finish_reason": None,
        "usage_source": UsageSource.MISSING,
        "usage_raw": None,
        "duration_ms": round(source.uniform(3, 900), 3),
        **dict.fromkeys(
            ("time_to_first_token_ms", "time_to_first_answer_ms", "time_to_last_token_ms", "prompt_tokens",
             "completion_tokens", "total_tokens", "cache_read_tokens", "reasoning_tokens")
        ),
    }  # fmt: skip
    if outcome is Outcome.UPSTREAM_ERROR:
        attempts = [Attempt(upstream="gpu-1", status=None, ms=2.1, error="connection refused")] * 2
        values |= {"retries": 1, "attempts": attempts}
    return values


def _flush(redis: Redis, batch: list[bytes]) -> int:
    if batch:
        pipe = redis.pipeline(transaction=False)
        for data in batch:
            pipe.xadd(REQUESTS, {FIELD: data})
        pipe.execute()
    return len(batch)


if __name__ == "__main__":
    main()

"""`/healthz`: the process lives. `/readyz`: it can do its work, check by check."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

CHECK_TIMEOUT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of one readiness check."""

    ok: bool
    detail: str = ""
    essential: bool = True
    """Whether the service is useless without it. A failed other check only means `degraded`."""


async def healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"}, dumps=_dumps)


def readyz(
    checks: Mapping[str, Callable[[], Awaitable[Check]]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that runs every check and answers 200 (`ok`, `degraded`) or 503 (`unavailable`)."""

    async def handler(_request: web.Request) -> web.Response:
        answers = dict(
            zip(checks, await asyncio.gather(*(_run(check) for check in checks.values())), strict=True)
        )
        failed = [answer for answer in answers.values() if not answer.ok]
        status = "ok"
        if failed:
            status = "unavailable" if any(answer.essential for answer in failed) else "degraded"
        body = {
            "status": status,
            "checks": {name: {"ok": answer.ok, "detail": answer.detail} for name, answer in answers.items()},
        }
        return web.json_response(body, status=503 if status == "unavailable" else 200, dumps=_dumps)

    return handler


async def _run(check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {CHECK_TIMEOUT_SECONDS:g} s")


def _dumps(body: object) -> str:
    return orjson.dumps(body).decode()

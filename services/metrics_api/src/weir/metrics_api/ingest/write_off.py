"""`python -m weir.metrics_api write-off`: what is unaccounted for is known to be lost.

A backup that was restored, or entries that somebody deleted, leave requests without a row for ever. They are
counted with the dead letters that were dropped: what became of them is known, and the next loss shows.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
from redis.exceptions import RedisError

from weir.events.dead_letters import write_off
from weir.events.reader import client
from weir.metrics_api.reports.pipeline import SETTLE_SECONDS
from weir.servicekit.run import StartError
from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from weir.metrics_api.settings import MetricsApiSettings

_LOOK_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = SETTLE_SECONDS + 10.0


def add_to(commands: Any) -> None:
    """Add the command to those of argparse."""
    command = commands.add_parser(
        "write-off", help="count what is unaccounted for as lost; the metrics API has to run"
    )
    command.set_defaults(work=_write_off)


def _write_off(settings: MetricsApiSettings, _asked: argparse.Namespace) -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each question
    missing = asyncio.run(_missing(settings.listen.url))
    for life, count in missing.items():
        sys.stdout.write(f"{life}: {count}\n")
    asyncio.run(_note(settings.redis_url, missing))
    total = sum(missing.values())
    said = f"wrote off {total} request{'' if total == 1 else 's'}" if total else "nothing is unaccounted for"
    sys.stdout.write(f"{said}\n")


async def _missing(url: str) -> dict[str, int]:
    """How many requests of each life are nowhere, as the metrics API says when it is sure.

    Raises:
        StartError: it does not answer, or is not sure.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as asking:
        while True:
            try:
                answer = await asking.get(f"{url}/api/pipeline")
                report: dict[str, Any] = answer.raise_for_status().json()
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise StartError(
                    f"the metrics API at {url} does not say what is missing: {reason};"
                    " start it, or set WEIR_API_LISTEN as it has it"
                ) from None
            if report["total"]["unaccounted"] is not None:
                return {
                    f"{life['proxy_id']}/{life['boot_id']}": life["unaccounted"]
                    for life in report["proxies"] or ()
                    if life["unaccounted"]
                }
            if time.monotonic() > end:
                reason = report["unknown"].get("unaccounted", "it does not say why")
                raise StartError(f"it is not known what is missing: {reason}")
            await asyncio.sleep(_LOOK_SECONDS)


async def _note(redis_url: str, missing: Mapping[str, int]) -> None:
    """Raises StartError where Redis does not answer."""
    redis = client(redis_url)
    try:
        for life, count in missing.items():
            await write_off(redis, life, count)
    except (RedisError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise StartError(f"Redis at {mask_url(redis_url)} does not note it: {reason}") from None
    finally:
        await redis.aclose()

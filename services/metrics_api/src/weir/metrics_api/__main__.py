"""`python -m weir.metrics_api`: the metrics API as a process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from typing import TYPE_CHECKING

from weir.metrics_api.app import create_app
from weir.metrics_api.settings import MetricsApiSettings
from weir.metrics_api.storage.port import StorageStartError
from weir.servicekit import logs, run
from weir.servicekit.settings import SettingsError, load, mask_url, read_dotenv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.servicekit.values import ListenAddress

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop. Exit code 2 when it cannot start, with the reason in one line."""
    _parser().parse_args(argv)
    try:
        settings = load(MetricsApiSettings, os.environ, read_dotenv())
        logs.configure("metrics-api", settings.log_level, settings.log_format)
        asyncio.run(_serve(settings))
    except (SettingsError, run.StartError, StorageStartError) as error:
        return run.refuse("weir metrics-api", error)
    return 0


async def _serve(settings: MetricsApiSettings) -> None:
    # a batch is thousands of records that live for a moment: looking for cycles among them is waste
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)

    def listening(address: ListenAddress) -> None:
        logger.info(
            "listening",
            extra={
                "url": address.url,
                "database": settings.database_shown,
                "redis": mask_url(settings.redis_url),
            },
        )
        run.announce(address.url, os.environ)

    await run.serve(
        create_app(settings), settings.listen, listening=listening, setting_name="WEIR_API_LISTEN"
    )


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="weir metrics-api",
        description="Store the records and answer questions. Everything is set by environment variables; "
        "see `weir doctor`.",
    )


if __name__ == "__main__":
    sys.exit(main())

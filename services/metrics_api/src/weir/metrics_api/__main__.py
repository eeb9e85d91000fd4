"""`python -m weir.metrics_api`: the metrics API as a process, and its upkeep as sub-commands."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from weir.metrics_api import upkeep
from weir.metrics_api.ingest import dead_letters_command, write_off
from weir.metrics_api.settings import MetricsApiSettings
from weir.metrics_api.storage.port import StorageStartError, UpkeepError
from weir.servicekit import logs, run
from weir.servicekit.settings import SettingsError, load, mask_url, read_dotenv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weir.servicekit.values import ListenAddress

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop, or do what a sub-command says. Exit code 2, with the reason, if it cannot."""
    asked = _parser().parse_args(argv)
    try:
        settings = load(MetricsApiSettings, os.environ, read_dotenv())
        logs.configure("metrics-api", settings.log_level, settings.log_format)
        asked.work(settings, asked)
    except (SettingsError, run.StartError, StorageStartError, UpkeepError) as error:
        return run.refuse("weir metrics-api", error)
    return 0


def _start(settings: MetricsApiSettings, _asked: argparse.Namespace) -> None:
    asyncio.run(_serve(settings))


def _back_up(settings: MetricsApiSettings, asked: argparse.Namespace) -> None:
    _say(upkeep.back_up(settings, asked.path))


def _restore(settings: MetricsApiSettings, asked: argparse.Namespace) -> None:
    _say(upkeep.restore(settings, asked.path, replace=asked.replace))


def _migrate(settings: MetricsApiSettings, asked: argparse.Namespace) -> None:
    _say(upkeep.migrate(settings, compact=asked.compact))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def _serve(settings: MetricsApiSettings) -> None:
    from weir.metrics_api.app import create_app  # noqa: PLC0415 - takes a second that upkeep does without

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
    parser = argparse.ArgumentParser(
        prog="weir metrics-api",
        description="Store the records and answer questions. Everything is set by environment variables; "
        "see `weir doctor`.",
    )
    parser.set_defaults(work=_start)
    commands = parser.add_subparsers(title="upkeep", metavar="COMMAND")
    backup = commands.add_parser("backup", help="save the database to a file, while it is served")
    backup.add_argument(
        "path", type=Path, nargs="?", help="the file to make, or a folder; default: backups in WEIR_DATA_DIR"
    )
    backup.set_defaults(work=_back_up)
    restore = commands.add_parser("restore", help="put a backup in the place of the database")
    restore.add_argument("path", type=Path, help="the backup")
    restore.add_argument(
        "--replace", action="store_true", help="even where there is a database; that one is kept beside it"
    )
    restore.set_defaults(work=_restore)
    migrate = commands.add_parser("migrate", help="bring the schema up to date, as a start does")
    migrate.add_argument("--compact", action="store_true", help="SQLite: give free space back to the disk")
    migrate.set_defaults(work=_migrate)
    dead_letters_command.add_to(commands)
    write_off.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

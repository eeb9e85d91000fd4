"""`python -m weir.dashboard`: the gateway as a process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

from weir.dashboard.app import create_app
from weir.dashboard.settings import DashboardSettings, parse_backend_url
from weir.servicekit import logs, run
from weir.servicekit.settings import SettingsError, load, mask_url, read_dotenv
from weir.servicekit.values import MAX_PORT, ListenAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop. Exit code 2 when it cannot start, with the reason in one line."""
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments)
        logs.configure("dashboard", settings.log_level, settings.log_format)
        asyncio.run(_serve(settings))
    except (SettingsError, run.StartError) as error:
        return run.refuse("weir dashboard", error)
    return 0


async def _serve(settings: DashboardSettings) -> None:
    def listening(address: ListenAddress) -> None:
        logger.info("listening", extra={"url": address.url, "backend_url": mask_url(settings.backend_url)})
        run.announce(address.url, os.environ)

    await run.serve(
        create_app(settings), settings.listen, listening=listening, setting_name="WEIR_DASHBOARD_LISTEN"
    )


def _settings(arguments: argparse.Namespace) -> DashboardSettings:
    settings = load(DashboardSettings, os.environ, read_dotenv())
    given: dict[str, object] = {}
    if arguments.port is not None:
        given["listen"] = ListenAddress(settings.listen.host, arguments.port)
    if arguments.backend_url is not None:
        given["backend_url"] = arguments.backend_url
    return settings.model_copy(update=given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weir dashboard", description="Serve the dashboard and relay its calls to the metrics API."
    )
    parser.add_argument("--port", type=_port, help="the port to listen on; wins over WEIR_DASHBOARD_LISTEN")
    parser.add_argument(
        "--backend-url", type=_backend_url, metavar="URL", help="the metrics API; wins over WEIR_BACKEND_URL"
    )
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; write a number from 0 to {MAX_PORT}")
    return int(text)


def _backend_url(text: str) -> str:
    try:
        return parse_backend_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())

"""`python -m weir.proxy`: the proxy as a process."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import uvloop

from weir.proxy.config import load_config
from weir.proxy.parent.service import Parent
from weir.proxy.providers import PROVIDERS
from weir.proxy.settings import ProxySettings
from weir.servicekit import logs, run
from weir.servicekit.settings import SettingsError, load, read_dotenv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop. Exit code 2 when it cannot start, with the reason in one line."""
    argparse.ArgumentParser(
        prog="weir proxy",
        description="Relay LLM requests to the model servers and record each one.",
        epilog="Everything is set by the environment or a .env file; see .env.example.",
    ).parse_args(argv)
    try:
        dotenv = read_dotenv()
        settings = load(ProxySettings, os.environ, dotenv)
        logs.configure("proxy", settings.log_level, settings.log_format)
        uvloop.run(_serve(settings, {**dotenv, **os.environ}))
    except (SettingsError, run.StartError) as error:
        return run.refuse("weir proxy", error)
    return 0


async def _serve(settings: ProxySettings, environ: Mapping[str, str]) -> None:
    parent = Parent(settings, lambda: load_config(settings, environ, frozenset(PROVIDERS)))
    await parent.serve(environ)


if __name__ == "__main__":
    sys.exit(main())

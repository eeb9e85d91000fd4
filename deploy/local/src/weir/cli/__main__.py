"""The `weir` command. A service is imported only by the sub-command that starts it."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from importlib.metadata import version as installed_version
from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import Annotated

from cyclopts import App, Parameter

from weir.servicekit import logs
from weir.servicekit.run import StartError, refuse
from weir.servicekit.settings import SettingsError, load, read_dotenv

app = App(
    name="weir",
    help="Weir measures LLM traffic: a proxy to send it through, a dashboard to see it.",
    help_epilogue="Settings come from the environment and .env; `weir doctor` shows each with its origin.",
    version=lambda: installed_version("weir"),
)


@app.command
def run() -> int:
    """Run all of Weir on this machine: proxy, metrics API, dashboard and, unless REDIS_URL is set, a Redis.

    Requests go to WEIR_UPSTREAM_URL or the upstreams in WEIR_CONFIG; without either to an Ollama on
    this machine, and without that to a built-in demo model. Everything is kept in WEIR_DATA_DIR.
    """
    from weir.cli.launcher import launch
    from weir.cli.settings import LauncherSettings

    try:
        settings = load(LauncherSettings, os.environ, read_dotenv())
        logs.configure("weir", settings.log_level, settings.log_format)
        return asyncio.run(launch(settings, os.environ))
    except (SettingsError, StartError) as error:
        return refuse("weir run", error)


@app.command
def proxy() -> int:
    """Run the proxy alone: the public, OpenAI-compatible port."""
    from weir.proxy.__main__ import main

    return main([])


@app.command
def metrics_api() -> int:
    """Run the metrics API alone: stores the records and answers questions about them."""
    from weir.metrics_api.__main__ import main

    return main([])


@app.command
def backup(path: Path | None = None) -> int:
    """Save the database to a file, while it is served.

    Parameters
    ----------
    path
        The file to make, or a folder; without it a file in WEIR_DATA_DIR/backups.
    """
    from weir.metrics_api.__main__ import main

    return main(["backup", *([] if path is None else [str(path)])])


@app.command
def restore(path: Path, *, replace: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Put a backup in the place of the database. Stop Weir first.

    Parameters
    ----------
    path
        The backup.
    replace
        Even where there is a database; that one is kept beside it.
    """
    from weir.metrics_api.__main__ import main

    return main(["restore", str(path), *(["--replace"] if replace else [])])


@app.command
def migrate(*, compact: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Bring the database's schema up to date, as a start does. Stop Weir first.

    Parameters
    ----------
    compact
        SQLite: also give free space back to the disk.
    """
    from weir.metrics_api.__main__ import main

    return main(["migrate", *(["--compact"] if compact else [])])


dead_letters = App(name="dead-letters", help="Entries that could not be stored, put aside in Redis.")
app.command(dead_letters)


@dead_letters.command(name="list")
def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Show them: why they were put aside and whose they are, never what is in them.

    Parameters
    ----------
    json
        One JSON object a line.
    """
    from weir.metrics_api.__main__ import main

    return main(["dead-letters", "list", *(["--json"] if json else [])])


@dead_letters.command
def replay(*ids: str, all_: Annotated[bool, Parameter("--all", negative="")] = False) -> int:
    """Put them back into the stream, to be stored after all.

    Parameters
    ----------
    ids
        Which, as `weir dead-letters list` shows them.
    all_
        All that are there now.
    """
    from weir.metrics_api.__main__ import main

    return main(["dead-letters", "replay", *ids, *(["--all"] if all_ else [])])


@dead_letters.command
def drop(*ids: str, all_: Annotated[bool, Parameter("--all", negative="")] = False) -> int:
    """Delete them for good; they stay counted.

    Parameters
    ----------
    ids
        Which, as `weir dead-letters list` shows them.
    all_
        All that are there now.
    """
    from weir.metrics_api.__main__ import main

    return main(["dead-letters", "drop", *ids, *(["--all"] if all_ else [])])


@app.command(name="write-off")
def write_off() -> int:
    """Count what is unaccounted for as lost, as after a restored backup. The metrics API has to run."""
    from weir.metrics_api.__main__ import main

    return main(["write-off"])


@app.command
def dashboard(
    *,
    port: Annotated[
        int | None, Parameter(help="The port to listen on; wins over WEIR_DASHBOARD_LISTEN.")
    ] = None,
    backend_url: Annotated[
        str | None, Parameter(help="The metrics API to relay to; wins over WEIR_BACKEND_URL.")
    ] = None,
) -> int:
    """Run the dashboard alone: serves the pages and relays their calls to the metrics API."""
    from weir.dashboard.__main__ import main

    arguments: list[str] = []
    if port is not None:
        arguments += ["--port", str(port)]
    if backend_url is not None:
        arguments += ["--backend-url", backend_url]
    return main(arguments)


@app.command
def doctor() -> int:
    """Show every setting with its origin, check what Weir needs, and say how to mend what is red."""
    from weir.cli.doctor import examine

    return asyncio.run(examine(os.environ, read_dotenv()))


keys = App(name="keys", help="Keys for the proxy's clients.")
app.command(keys)


@keys.command
def new(name: str) -> int:
    """Print a new key for a client, and the lines for the file in WEIR_CONFIG that let it in.

    Parameters
    ----------
    name
        The client's name, as records will show it.
    """
    from weir.cli.keys import NewKey

    try:
        drawn = NewKey.draw(name)
    except ValueError as error:
        return refuse("weir keys new", error)
    print(f"The key, which is shown only now and kept nowhere:\n\n{drawn.key}\n")
    print(f"In the file that WEIR_CONFIG names, where `clients:` may be there already:\n\n{drawn.yaml}")
    print("A running proxy takes it in on SIGHUP.")
    return 0


@app.command
def version() -> None:
    """Print the version."""
    print(f"weir {installed_version('weir')} (Python {platform.python_version()}, {platform.platform()})")


def main() -> None:
    sys.exit(app())


if __name__ == "__main__":
    main()

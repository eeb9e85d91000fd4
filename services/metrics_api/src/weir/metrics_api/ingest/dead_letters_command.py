"""`python -m weir.metrics_api dead-letters list|replay|drop`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from weir.events.stream import request_streams
from weir.metrics_api.ingest import dead_letters
from weir.metrics_api.ingest.dead_letters import Done, Wish
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    import argparse

    from weir.metrics_api.settings import MetricsApiSettings


def add_to(commands: Any) -> None:
    """Add the command to those of argparse. Each step sets `work`, which may raise StartError."""
    letters = commands.add_parser(
        "dead-letters", help="entries that could not be stored: look at them, replay them, drop them"
    )
    steps = letters.add_subparsers(title="what to do", metavar="STEP", required=True)
    listing = steps.add_parser("list", help="show them, without what is in them")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(work=_list)
    for name, text, work in (
        ("replay", "put them back into the stream, to be stored after all", _replay),
        ("drop", "delete them for good", _drop),
    ):
        step = steps.add_parser(name, help=text)
        step.add_argument("ids", metavar="ID", nargs="*", help="which, as `list` shows them")
        step.add_argument("--all", action="store_true", help="all that are there now")
        step.set_defaults(work=work)


def _list(settings: MetricsApiSettings, asked: argparse.Namespace) -> None:
    text = asyncio.run(dead_letters.listed(settings.redis_url, as_json=asked.json))
    if text:
        sys.stdout.write(f"{text}\n")


def _replay(settings: MetricsApiSettings, asked: argparse.Namespace) -> None:
    wish = _wish(asked)
    done = asyncio.run(
        dead_letters.replay(settings.redis_url, wish, request_streams(settings.stream_shards)[0])
    )
    line = f"replayed {_letters(done.done)}"
    if done.cut:
        line += f"; {done.cut} stay, since only the beginning of such a large entry was kept"
    _say(line, done, wish)


def _drop(settings: MetricsApiSettings, asked: argparse.Namespace) -> None:
    wish = _wish(asked)
    done = asyncio.run(dead_letters.drop(settings.redis_url, wish))
    _say(f"dropped {_letters(done.done)}", done, wish)


def _wish(asked: argparse.Namespace) -> Wish:
    if bool(asked.ids) == asked.all:
        raise StartError("say which dead letters: their ids as `dead-letters list` shows them, or --all")
    return Wish(asked.ids)


def _say(line: str, done: Done, wish: Wish) -> None:
    """Raises StartError, after the line, where ids were given that no dead letter has."""
    sys.stdout.write(f"{line}\n")
    if missing := done.missing(wish):
        raise StartError(f"{missing} of the ids given are not those of a dead letter")


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"

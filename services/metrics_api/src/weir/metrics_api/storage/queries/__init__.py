"""One SQL file a question, with a suffix where the databases differ.

Values are parameters, written `?`; `{parts}` are filled from the adapters' fixed lists.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import count
from typing import Final, Literal

Dialect = Literal["sqlite", "postgres"]
_COMMENT: Final = "--"


@cache
def query(name: str, dialect: Dialect = "sqlite", **parts: str) -> str:
    """The text of `name.sql`, or of `name-<dialect>.sql`, with its parts filled in."""
    folder = files(__name__)
    own = folder.joinpath(f"{name}-{dialect}.sql")
    text = (own if own.is_file() else folder.joinpath(f"{name}.sql")).read_text(encoding="utf-8")
    for part, value in parts.items():
        text = text.replace(f"{{{part}}}", value)
    return _numbered(text) if dialect == "postgres" else text


def _numbered(text: str) -> str:
    """PostgreSQL's parameters have numbers: `?` becomes `$1`, `$2` … in the order of the text."""
    numbers = count(1)
    lines = [line for line in text.splitlines() if not line.startswith(_COMMENT)]
    pieces = "\n".join(lines).split("?")
    return pieces[0] + "".join(f"${next(numbers)}{piece}" for piece in pieces[1:])

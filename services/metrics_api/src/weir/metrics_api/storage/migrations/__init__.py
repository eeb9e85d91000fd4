"""Numbered steps of the schema, applied in order, each in one transaction.

`NNNN_name.sql` is for every database; `NNNN_name-sqlite.sql` and `NNNN_name-postgres.sql` are the same step
where they differ.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weir.metrics_api.storage.queries import Dialect


def migrations(dialect: Dialect = "sqlite") -> dict[str, str]:
    """The SQL of every migration by its name, in order."""
    found: dict[str, str] = {}
    for entry in files(__name__).iterdir():
        name, is_sql, _ = entry.name.partition(".sql")
        step, _, only = name.partition("-")
        if is_sql and only in {"", dialect}:
            found[step] = entry.read_text(encoding="utf-8")
    return dict(sorted(found.items()))

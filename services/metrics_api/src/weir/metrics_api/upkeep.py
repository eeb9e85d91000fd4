"""What an operator does beside serving: back up, restore, bring the schema up to date."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from weir.metrics_api.storage.port import UpkeepError
from weir.metrics_api.storage.postgres import backup as postgres
from weir.metrics_api.storage.postgres.opening import prepare
from weir.metrics_api.storage.sqlite import backup as sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from weir.metrics_api.settings import MetricsApiSettings
    from weir.metrics_api.storage.port import Saved


def back_up(settings: MetricsApiSettings, target: Path | None) -> str:
    """Make a backup; what to say of it. In a folder it is named after this moment.

    Raises:
        UpkeepError: there is no backup now; the message says why and what to do.
    """
    url = settings.postgres_url
    file = _file(target or settings.data_dir / "backups", sqlite.SUFFIX if url is None else postgres.SUFFIX)
    if url is None:
        saved = sqlite.back_up(settings.database_path, file)
    else:
        saved = asyncio.run(postgres.back_up(url, file))
    return f"backed up {settings.database_shown} to {saved.path} ({_described(saved)})"


def restore(settings: MetricsApiSettings, backup: Path, *, replace: bool) -> str:
    """Put a backup in place; what to say of it.

    Raises:
        UpkeepError, StorageStartError: the database is as it was; the message says why and what to do.
    """
    url = settings.postgres_url
    if url is None:
        saved = sqlite.restore(backup, settings.database_path, replace=replace)
    else:
        saved = asyncio.run(postgres.restore(backup, url, replace=replace))
    return f"restored {backup} to {settings.database_shown} ({_described(saved)})"


def migrate(settings: MetricsApiSettings, *, compact: bool) -> str:
    """Bring the schema up to date; what to say of it.

    Raises:
        UpkeepError, StorageStartError: the message says why and what to do.
    """
    url = settings.postgres_url
    if url is None:
        sqlite.migrate(settings.database_path, compact=compact)
    elif compact:
        raise UpkeepError("PostgreSQL gives space back by itself; --compact is for SQLite")
    else:
        asyncio.run(prepare(url))
    return f"the schema of {settings.database_shown} is up to date"


def _file(target: Path, suffix: str) -> Path:
    if target.suffix and not target.is_dir():
        if not target.parent.is_dir():
            raise UpkeepError(f"there is no folder {target.parent}")
        return target
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UpkeepError(f"cannot write to {target}: {error.strerror}") from None
    return target / f"weir-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{suffix}"


def _described(saved: Saved) -> str:
    size = f"{saved.bytes / 1e6:,.1f} MB"
    return size if saved.requests is None else f"{saved.requests:,} requests, {size}"

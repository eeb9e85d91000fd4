"""Opening the database: it is waited for, checked, and its schema brought up to date by one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

import asyncpg

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import StorageStartError
from weir.metrics_api.storage.postgres.connections import connect
from weir.metrics_api.storage.queries import query
from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.metrics_api.storage.postgres.driver import Connection

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 20.0
"""A database that is just starting is waited for."""
MIGRATION_SECONDS: Final = 3600.0
OLDEST_VERSION: Final = 140000
MIGRATION_LOCK: Final = 0x57454954
_PAUSE_SECONDS: Final = 0.5
_NOT_YET: Final = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)


async def prepare(url: str, steps: Mapping[str, str] | None = None, wait: float = WAIT_SECONDS) -> None:
    """Bring the schema up to date.

    Raises:
        StorageStartError: the database cannot be used; the message says why and what to do.
    """
    shown = mask_url(url)
    try:
        connection = await _connect(url, shown, wait)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StorageStartError(
            f"PostgreSQL refuses {shown}: {_line(error)}; "
            "check user, password and database in WEIR_DATABASE_URL"
        ) from None
    try:
        await _check(connection, shown)
        await _migrate(connection, shown, migrations("postgres") if steps is None else steps)
    except asyncpg.InsufficientPrivilegeError as error:
        raise StorageStartError(
            f"{shown}: {_line(error)}; let Weir's user own the database, or run there as an administrator: "
            "grant create, usage on schema public to that user"
        ) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StorageStartError(
            f"the schema of {shown} cannot be brought up to date ({_line(error)}); nothing of it was changed"
        ) from None
    finally:
        connection.terminate()


async def _connect(url: str, shown: str, wait: float) -> Connection:
    deadline = time.monotonic() + wait
    said = False
    while True:
        try:
            return await connect(url, MIGRATION_SECONDS)
        except _NOT_YET as error:
            if time.monotonic() > deadline:
                raise StorageStartError(_no_answer(shown, error)) from None
            if not said:
                logger.warning("waiting for PostgreSQL", extra={"database": shown, "reason": _line(error)})
                said = True
            await asyncio.sleep(_PAUSE_SECONDS)


def _no_answer(shown: str, error: BaseException) -> str:
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return (
            f"PostgreSQL at {shown} has no connection left: {_line(error)}; "
            "raise max_connections there, or close others"
        )
    if isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        return (
            f"PostgreSQL at {shown} takes no changes: there are standbys only; "
            "promote one, or correct WEIR_DATABASE_URL"
        )
    return f"PostgreSQL does not answer at {shown}: {_line(error)}; start it, or correct WEIR_DATABASE_URL"


async def _check(connection: Connection, shown: str) -> None:
    version, shown_version, encoding = await connection.fetchrow(query("server", "postgres"))
    if version < OLDEST_VERSION:
        raise StorageStartError(
            f"{shown} is PostgreSQL {shown_version}; Weir needs {OLDEST_VERSION // 10000} or newer"
        )
    if encoding != "UTF8":
        raise StorageStartError(
            f"{shown} is encoded in {encoding}; "
            "make it anew with: create database … encoding 'UTF8' template template0"
        )


async def _migrate(connection: Connection, shown: str, steps: Mapping[str, str]) -> None:
    await connection.execute(query("migration_lock", "postgres"), MIGRATION_LOCK)
    if not await connection.fetchval(query("table_exists", "postgres"), "weir_migrations"):
        if await connection.fetchval(query("table_exists", "postgres"), "completion_requests"):
            raise StorageStartError(
                f"{shown} is a database of another program; set WEIR_DATABASE_URL to one of Weir's own"
            )
        await connection.execute(query("migrations_table", "postgres"))
    applied = {row[0] for row in await connection.fetch(query("migrations_applied", "postgres"))}
    unknown = sorted(applied - set(steps))
    if unknown:
        raise StorageStartError(
            f"{shown} was written by a newer version of Weir (its schema has {', '.join(unknown)}); "
            "start that version, or set WEIR_DATABASE_URL to another database"
        )
    for name, text in steps.items():
        if name not in applied:
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(query("migration_note", "postgres"), name)
            logger.info("schema brought up to date", extra={"migration": name})


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

"""Backups by PostgreSQL's own programs, and the way back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import asyncpg

from weir.metrics_api.storage.migrations import migrations
from weir.metrics_api.storage.port import Saved, UpkeepError
from weir.metrics_api.storage.postgres.connections import APPLICATION, connect
from weir.metrics_api.storage.postgres.opening import prepare
from weir.metrics_api.storage.queries import query
from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from weir.metrics_api.storage.postgres.driver import Connection

SUFFIX: Final = ".dump"
_SECONDS: Final = 3600.0
_TABLE: Final = re.compile(r"^create table (\w+)", re.MULTILINE)
_WITH_PASSWORD: Final = re.compile(r"(?P<before>\w+://[^/@:]*):(?P<password>[^/]*)@(?P<after>.*)", re.DOTALL)


async def back_up(url: str, target: Path) -> Saved:
    """Dump the database as it is at this moment, and read the dump's contents back.

    Raises:
        UpkeepError: there is no dump now.
    """
    if _is_file(target):
        raise UpkeepError(f"{target} is there already; name another file")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--file={draft}")
        await _run("pg_dump", url, *options)
        listed = await _run("pg_restore", None, "--list", str(draft))
        if "weir_migrations" not in listed:
            raise UpkeepError(f"{mask_url(url)} is not a database of Weir's; no backup was made")
        size = _size(draft)
        draft.rename(target)
    except OSError as error:
        raise UpkeepError(f"cannot back up to {target}: {error}; no backup was made") from None
    finally:
        draft.unlink(missing_ok=True)
    return Saved(target, size, None)


async def restore(backup: Path, url: str, *, replace: bool) -> Saved:
    """Put a backup in the place of the database. What was there before is kept in a schema of its own.

    Raises:
        UpkeepError: the backup is not good, a metrics API is connected, or there are records already and
            `replace` is false.
    """
    if not _is_file(backup):
        raise UpkeepError(f"there is no backup {backup}")
    if "weir_migrations" not in await _run("pg_restore", None, "--list", str(backup)):
        raise UpkeepError(f"{backup} is not a backup of Weir's")
    connection = await _connected(url)
    try:
        if await connection.fetchval(query("others_connected", "postgres"), APPLICATION):
            raise UpkeepError(f"a metrics API is connected to {mask_url(url)}; stop it first")
        old = await _tables(connection)
        if old and not replace:
            raise UpkeepError(
                f"{mask_url(url)} has Weir's tables already; say --replace to put the backup in their place"
            )
        aside = await _put_aside(connection, old)
        try:
            options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
            await _run("pg_restore", url, *options, str(backup))
        except UpkeepError:
            await _put_back(connection, old, aside)
            raise
    except asyncpg.PostgresError as error:
        raise UpkeepError(f"cannot restore to {mask_url(url)}: {error}; nothing was changed") from None
    finally:
        await connection.close()
    await prepare(url)
    return Saved(backup, _size(backup), None)


async def _connected(url: str) -> Connection:
    try:
        return await connect(url, _SECONDS, application_name="weir-restore")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise UpkeepError(f"cannot connect to {mask_url(url)}: {error}") from None


async def _tables(connection: Connection) -> list[str]:
    """Those of Weir's tables that are there, the tables of months included."""
    own = {name for text in migrations("postgres").values() for name in _TABLE.findall(text)}
    found = [row[0] for row in await connection.fetch(query("tables", "postgres"))]
    return [
        name
        for name in found
        if name in own or name == "weir_migrations" or name.startswith("completion_requests_")
    ]


async def _put_aside(connection: Connection, tables: Sequence[str]) -> str:
    """Move tables to a new schema; its name."""
    if not tables:
        return ""
    number = await connection.fetchval(query("schemas_aside", "postgres"))
    aside = f"weir_replaced_{number + 1}"
    async with connection.transaction():
        await connection.execute(query("schema_make", "postgres", schema=aside))
        for table in tables:
            await connection.execute(query("table_move", "postgres", table=f'"{table}"', schema=aside))
    return aside


async def _put_back(connection: Connection, tables: Sequence[str], aside: str) -> None:
    if not aside:
        return
    home = await connection.fetchval(query("schema_own", "postgres"))
    async with connection.transaction():
        for table in tables:
            source = f'{aside}."{table}"'
            await connection.execute(query("table_move", "postgres", table=source, schema=f'"{home}"'))
        await connection.execute(query("schema_drop", "postgres", schema=aside))


def _is_file(path: Path) -> bool:
    return path.is_file()


def _size(path: Path) -> int:
    return path.stat().st_size


async def _run(name: str, url: str | None, *options: str) -> str:
    """What a program of PostgreSQL's prints. The password is not in its arguments, which others can see."""
    program = shutil.which(name)
    if program is None:
        raise UpkeepError(
            f"{name} is not on the PATH: install PostgreSQL's client programs, or run {name} where "
            "PostgreSQL is (README, Backup and upgrade)"
        )
    environ = dict(os.environ)
    if url is not None:
        if found := _WITH_PASSWORD.fullmatch(url):
            environ["PGPASSWORD"] = unquote(found["password"])
            url = f"{found['before']}@{found['after']}"
        options = (f"--dbname={url}", *options)
    process = await asyncio.create_subprocess_exec(
        program, *options, env=environ, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, said = await process.communicate()
    if process.returncode != 0:
        raise UpkeepError(f"{name} failed: {' '.join(said.decode(errors='replace').split())}")
    return printed.decode(errors="replace")

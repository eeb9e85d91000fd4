"""Connections: one that writes and owns a shard, a few that read. Errors become those of the port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

import asyncpg

from weir.metrics_api.storage.places import Places
from weir.metrics_api.storage.port import QueryTimeoutError, StorageError, UnstorableRecordError
from weir.metrics_api.storage.postgres import texts
from weir.metrics_api.storage.queries import query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from weir.metrics_api.storage.postgres.driver import Connection, Pool

APPLICATION: Final = "weir-metrics-api"
"""What the database is told who it is."""
READERS: Final = 4
QUERY_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0
SHARD_LOCKS: Final = 0x57454952
"""The class of the advisory locks that shards are."""
_GRACE_SECONDS: Final = 2.0
"""The database ends a statement that takes too long; only when it does not answer at all, the client does."""
_REFUSALS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    TypeError,
    ValueError,
)
"""A record is refused for what it is."""
_TROUBLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection says that was ended while it was idle
    OSError,
    TimeoutError,
)
_READING: Final = {
    "default_transaction_read_only": "on",
    "plan_cache_mode": "force_custom_plan",  # a plan for the frequent model takes minutes for the rare one
}
_CONNECTION_GOES_ON: Final = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

P = ParamSpec("P")
T = TypeVar("T")


async def connect(url: str, seconds: float, **settings: str) -> Connection:
    """A connection whose statements may take so long."""
    connection: Connection = await cast("Any", asyncpg.connect)(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=seconds + _GRACE_SECONDS,
        server_settings=_settings(seconds, settings),
        target_session_attrs="read-write",  # of several hosts the one that is not a standby
    )
    await texts.register(connection)
    return connection


class Writer:
    """The connection that writes. One piece of work at a time; a lost connection is made anew.

    Its shard belongs to it alone, by a lock that PostgreSQL takes back when the connection ends. So a
    process that was killed, or that lost its connection, can never write beside its successor.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._shard = 0

    async def run(
        self,
        work: Callable[Concatenate[Connection, int, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do work on the connection, given with its shard.

        Raises:
            StorageError: PostgreSQL cannot do it now.
            UnstorableRecordError: it refuses what it was given.
        """
        async with self._turn:
            try:
                connection = await self._connected()
                return await work(connection, self._shard, *args, **kwargs)
            except _REFUSALS as error:
                raise UnstorableRecordError(str(error)) from error
            except _CONNECTION_GOES_ON as error:
                raise StorageError(described(error)) from error
            except _TROUBLE as error:
                self._drop()
                raise StorageError(described(error)) from error
            except BaseException:
                self._drop()
                raise

    async def close(self) -> None:
        async with self._turn:
            if self._connection is not None:
                await _close(self._connection)
                self._connection = None

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = connection = await connect(self._url, WRITE_SECONDS)
            await connection.execute(query("commits_last", "postgres"))
            self._shard = await _own_shard(connection)
            await connection.execute(query("staged_requests", "postgres"))
            await connection.execute(query("staged_cells", "postgres"))
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Readers:
    """Connections that cannot write; the database ends what takes longer than `QUERY_SECONDS`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._places = Places()

    @classmethod
    async def open(cls, url: str, readers: int = READERS) -> Readers:
        pool: Pool = await cast("Any", asyncpg.create_pool)(
            url,
            min_size=0,  # opening does not fail where connections are short; a question says so
            max_size=readers,
            timeout=CONNECT_SECONDS,
            command_timeout=QUERY_SECONDS + _GRACE_SECONDS,
            server_settings=_settings(QUERY_SECONDS, _READING),
            init=texts.register,
            target_session_attrs="primary",  # a standby may not have yet what was told to be stored
        )
        return cls(pool)

    async def run(
        self,
        question: Callable[Concatenate[Connection, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Raises StorageError when PostgreSQL fails, QueryTimeoutError when it takes too long."""
        asked = False
        try:
            with self._places.taken():
                async with self._pool.acquire(timeout=QUERY_SECONDS) as connection:
                    asked = True
                    return await question(connection, *args, **kwargs)
        except (asyncpg.QueryCanceledError, TimeoutError) as error:
            if not asked:
                raise StorageError(f"PostgreSQL: no connection within {QUERY_SECONDS:g} s") from error
            raise QueryTimeoutError(f"the question took longer than {QUERY_SECONDS:g} s") from error
        except _TROUBLE as error:
            raise StorageError(described(error)) from error

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def described(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        return "PostgreSQL: no server takes changes now: there are standbys only; one must be promoted"
    return f"PostgreSQL: {' '.join(str(error).split()) or type(error).__name__}"


def _settings(seconds: float, more: dict[str, str]) -> dict[str, str]:
    return {
        "application_name": APPLICATION,
        "statement_timeout": str(round(seconds * 1000)),
        "idle_in_transaction_session_timeout": str(round(WRITE_SECONDS * 1000)),
        "jit": "off",  # questions are short; compiling them takes longer than answering
        **more,
    }


async def _own_shard(connection: Connection) -> int:
    shard: int | None = await connection.fetchval(query("shard_own", "postgres"), SHARD_LOCKS)
    if shard is None:
        raise asyncpg.InterfaceError("all shards are taken: too many metrics APIs write to this database")
    return shard


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=_GRACE_SECONDS)
    except _TROUBLE:
        connection.terminate()

"""What the metrics API can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from weir.events.redis_url import check_redis_url
from weir.servicekit.hosts import HostNames
from weir.servicekit.origins import Origins
from weir.servicekit.settings import ServiceSettings, mask_url, setting
from weir.servicekit.values import Listen, Seconds, format_duration, parse_duration

SHORTEST_KEPT_SECONDS: Final = 86_400
"""A record that comes again after its row was deleted would count twice; within a day it well may."""


def _database(text: str | None) -> str | None:
    if text is None or text == "":
        return None
    if is_postgres(text):
        _check_postgres(text)
    else:
        database_path(text)
    return text


def is_postgres(text: str) -> bool:
    """Whether a database setting names a PostgreSQL: `postgresql://user@host/name`."""
    return text.startswith(("postgresql:", "postgres:"))


def _check_postgres(text: str) -> None:
    parts = urlsplit(text)
    if not text.partition(":")[2].startswith("//") or len(parts.path.strip("/")) == 0:
        raise ValueError("write postgresql://USER:PASSWORD@HOST:5432/DATABASE")
    if "password" in parse_qs(parts.query):
        raise ValueError(
            "a password among the parameters would be logged; write it before the @, or set PGPASSWORD"
        )


def database_path(text: str) -> Path:
    """The file that a database setting names: `sqlite:///data/weir.db` or just a path.

    Raises:
        ValueError: it names no SQLite file.
    """
    if text.startswith("sqlite:"):
        path = unquote(text.removeprefix("sqlite://")) if text.startswith("sqlite:///") else ""
        text = path.removeprefix("/")
        if text in {"", ":memory:"}:
            raise ValueError(
                "write sqlite:///weir.db for a relative path, sqlite:////var/lib/weir.db for an absolute one"
            )
    elif "://" in text:
        raise ValueError(
            f"a {text.partition('://')[0]} database is not supported; "
            "write sqlite:///path/weir.db, a path, or postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    if text == ":memory:":
        raise ValueError("a database in memory would lose every record at a restart; write a path")
    return Path(text)


def _targets(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(_target(part.strip()) for part in value.split(",") if part.strip())


def _target(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is not a target; write http:// or https:// URLs separated by commas")
    return url


def _at_least(seconds: float) -> AfterValidator:
    def check(value: float) -> float:
        if value < seconds:
            raise ValueError(f"is too short; write at least {format_duration(seconds)}")
        return value

    return AfterValidator(check)


def _kept(value: object) -> object:
    """0, which is what `never` means, besides durations."""
    if isinstance(value, str):
        return 0.0 if value in {"never", "0"} else parse_duration(value)
    return value


def _a_day_or_never(seconds: float) -> float:
    if seconds and seconds < SHORTEST_KEPT_SECONDS:
        raise ValueError(
            f"is too short; write at least {format_duration(SHORTEST_KEPT_SECONDS)}, or never to delete none"
        )
    return seconds


def _shown_kept(seconds: float) -> str:
    return format_duration(seconds) if seconds else "never"


KeptSeconds = Annotated[
    float, BeforeValidator(_kept), AfterValidator(_a_day_or_never), PlainSerializer(_shown_kept)
]
"""How long something is kept; 0 for ever."""
Targets = Annotated[tuple[str, ...], BeforeValidator(_targets), PlainSerializer(",".join)]


class MetricsApiSettings(ServiceSettings):
    """The settings of `weir metrics-api`."""

    listen: Listen = setting(
        "WEIR_API_LISTEN",
        "LISTEN_ADDR",
        default="127.0.0.1:8002",
        description="where the metrics API listens; port 0 takes a free one",
    )
    hosts: HostNames = setting(
        "WEIR_API_HOSTS",
        default="",
        description="more host names it answers for, besides local ones and metrics-api; .example.com for "
        "all names below, * for any",
    )
    cors_origins: Origins = setting(
        "WEIR_API_CORS_ORIGINS",
        default="",
        description="web origins whose pages may call it from a browser, separated by commas; * for all",
    )
    graphql_introspection: bool = setting(
        "WEIR_GRAPHQL_INTROSPECTION",
        default=True,
        description="let GraphQL clients ask for the schema",
    )
    graphql_suggestions: bool = setting(
        "WEIR_GRAPHQL_SUGGESTIONS",
        default=True,
        description="let GraphQL errors suggest the names that were meant",
    )
    data_dir: Path = setting(
        "WEIR_DATA_DIR", default="data", description="the folder of the database and everything else kept"
    )
    database: Annotated[str | None, AfterValidator(_database)] = setting(
        "WEIR_DATABASE_URL",
        "DB_PATH",
        default=None,
        description="the database: sqlite:///path, a path, or postgresql://USER:PASSWORD@HOST:5432/DATABASE; "
        "default: weir.db in WEIR_DATA_DIR",
        holds_secret=True,
    )
    redis_url: Annotated[str, AfterValidator(check_redis_url)] = setting(
        "REDIS_URL",
        default="redis://127.0.0.1:6379/0",
        description="the Redis through which the services meet",
        holds_secret=True,
    )
    stream_shards: Annotated[int, Field(ge=1, le=64)] = setting(
        "WEIR_STREAM_SHARDS",
        default=1,
        description="over how many streams records are spread, for a Redis Cluster; as in all services",
    )
    stream_max_entries: Annotated[int, Field(ge=0)] = setting(
        "WEIR_STREAM_MAX_ENTRIES",
        default=0,
        description="entries a stream may hold before its oldest are deleted, stored or not; 0: any",
    )
    scrape_targets: Targets = setting(
        "WEIR_SCRAPE_TARGETS",
        "SCRAPE_TARGETS",
        default="",
        description="Prometheus endpoints to watch, separated by commas",
    )
    scrape_interval: Annotated[Seconds, _at_least(0.1)] = setting(
        "WEIR_SCRAPE_INTERVAL", "SCRAPE_INTERVAL", default="5s", description="how often they are asked"
    )
    scrape_timeout: Annotated[Seconds, _at_least(0.1)] = setting(
        "WEIR_SCRAPE_TIMEOUT", "SCRAPE_TIMEOUT", default="3s", description="how long one may take to answer"
    )
    retention_5s: Annotated[Seconds, _at_least(7200)] = setting(
        "WEIR_RETENTION_5S", "RETENTION_5S", default="24h", description="how long 5-second data is kept"
    )
    retention_1m: Annotated[Seconds, _at_least(7200)] = setting(
        "WEIR_RETENTION_1M", "RETENTION_1M", default="7d", description="how long 1-minute data is kept"
    )
    retention_requests: KeptSeconds = setting(
        "WEIR_RETENTION_REQUESTS",
        "RETENTION_REQUESTS",
        default="90d",
        description="how long single requests are kept; never deletes none",
    )

    @property
    def postgres_url(self) -> str | None:
        """None when the database is SQLite."""
        return self.database if self.database is not None and is_postgres(self.database) else None

    @property
    def database_path(self) -> Path:
        """The file, when the database is SQLite."""
        return self.data_dir / "weir.db" if self.database is None else database_path(self.database)

    @property
    def database_shown(self) -> str:
        """Where the database is, without secrets."""
        return str(self.database_path) if self.postgres_url is None else mask_url(self.postgres_url)

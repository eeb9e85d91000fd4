from __future__ import annotations

from pathlib import Path

import pytest

from weir.metrics_api.settings import MetricsApiSettings, database_path
from weir.servicekit.settings import SettingsError, load


def test_defaults() -> None:
    settings = load(MetricsApiSettings, {})
    assert str(settings.listen) == "127.0.0.1:8002"
    assert settings.database_path == Path("data/weir.db")
    assert (settings.retention_5s, settings.retention_1m) == (86400, 604800)
    assert (settings.scrape_targets, settings.scrape_interval, settings.scrape_timeout) == ((), 5, 3)


def test_the_missions_names_are_honoured() -> None:
    settings = load(
        MetricsApiSettings,
        {
            "LISTEN_ADDR": ":8080",
            "DB_PATH": "/var/lib/m.db",
            "SCRAPE_TARGETS": "http://a:1/metrics, https://b/canary",
            "SCRAPE_INTERVAL": "10s",
            "SCRAPE_TIMEOUT": "500ms",
            "RETENTION_5S": "12h",
            "RETENTION_1M": "168h",
        },
    )
    assert str(settings.listen) == "0.0.0.0:8080"
    assert settings.database_path == Path("/var/lib/m.db")
    assert settings.scrape_targets == ("http://a:1/metrics", "https://b/canary")
    assert (settings.scrape_interval, settings.scrape_timeout) == (10, 0.5)
    assert (settings.retention_5s, settings.retention_1m) == (43200, 604800)


def test_our_names_win() -> None:
    environ = {
        "WEIR_API_LISTEN": "127.0.0.1:1",
        "LISTEN_ADDR": ":2",
        "WEIR_DATABASE_URL": "a.db",
        "DB_PATH": "b.db",
    }
    settings = load(MetricsApiSettings, environ)
    assert settings.listen.port == 1
    assert settings.database_path == Path("a.db")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:///weir.db", "weir.db"),
        ("sqlite:////var/weir%20x.db", "/var/weir x.db"),
        ("relative/x.db", "relative/x.db"),
        ("/abs/x.db", "/abs/x.db"),
    ],
)
def test_a_database_is_a_url_or_a_path(text: str, path: str) -> None:
    assert database_path(text) == Path(path)


def test_a_postgresql_is_shown_without_its_password() -> None:
    url = "postgresql://weir:hush@db:5432/weir"
    settings = load(MetricsApiSettings, {"WEIR_DATABASE_URL": url})
    assert settings.postgres_url == url
    assert "hush" not in settings.database_shown
    assert settings.database_shown.endswith("@db:5432/weir")
    assert load(MetricsApiSettings, {}).postgres_url is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WEIR_DATABASE_URL", "postgresql://weir@db", "postgresql://USER:PASSWORD@HOST:5432/DATABASE"),
        ("WEIR_DATABASE_URL", "postgresql:weir", "postgresql://USER:PASSWORD@HOST:5432/DATABASE"),
        ("WEIR_DATABASE_URL", "postgresql://db/weir?password=x", "set PGPASSWORD"),
        ("DB_PATH", "mysql://x/y", "a mysql database is not supported"),
        ("DB_PATH", ":memory:", "would lose every record"),
        ("DB_PATH", "sqlite://", "sqlite:///weir.db"),
        ("SCRAPE_TARGETS", "localhost:9090", "is not a target"),
        ("REDIS_URL", "localhost:6379", "redis://HOST:PORT/0"),
        ("WEIR_API_LISTEN", "nonsense", "is not a listen address"),
        ("RETENTION_5S", "a day", "is not a duration"),
        ("RETENTION_5S", "5m", "at least"),
        ("RETENTION_REQUESTS", "1h", "at least 1d, or never"),
        ("RETENTION_REQUESTS", "always", "is not a duration"),
        ("SCRAPE_INTERVAL", "0s", "at least"),
    ],
)
def test_a_wrong_setting_is_named_with_a_way_out(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        load(MetricsApiSettings, {name: value})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("never", 0), ("0", 0), ("1d", 86_400), ("720h", 30 * 86_400), ("", None)]
)
def test_single_requests_are_kept_for_a_while_or_for_ever(text: str, seconds: float | None) -> None:
    if seconds is None:
        assert load(MetricsApiSettings, {}).retention_requests == 90 * 86_400
    else:
        assert load(MetricsApiSettings, {"RETENTION_REQUESTS": text}).retention_requests == seconds

"""Settings: which variable wins, where a value came from, what a wrong one is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import AfterValidator, SecretStr

from weir.servicekit.settings import (
    ServiceSettings,
    SettingsError,
    describe,
    load,
    mask_url,
    read_dotenv,
    setting,
)
from weir.servicekit.values import Bytes, Listen, ListenAddress, Seconds

if TYPE_CHECKING:
    from pathlib import Path


class Example(ServiceSettings):
    """One setting of each kind."""

    listen: Listen = setting("WEIR_LISTEN", "LISTEN_ADDR", default=":8080", description="where it listens")
    keep: Seconds = setting("WEIR_KEEP", default="24h")
    body: Bytes = setting("WEIR_BODY", default="1MiB")
    key: SecretStr | None = setting("WEIR_KEY", default=None)
    url: str = setting("WEIR_URL", default="redis://127.0.0.1:6379/0")


def test_defaults_are_read_like_any_value() -> None:
    settings = load(Example, {})
    assert settings.listen == ListenAddress("0.0.0.0", 8080)
    assert (settings.keep, settings.body, settings.key) == (86_400, 2**20, None)


@pytest.mark.parametrize(
    ("environ", "dotenv", "port"),
    [
        ({"LISTEN_ADDR": ":1"}, {}, 1),
        ({"WEIR_LISTEN": ":2", "LISTEN_ADDR": ":1"}, {}, 2),
        ({}, {"LISTEN_ADDR": ":3"}, 3),
        ({"LISTEN_ADDR": ":1"}, {"LISTEN_ADDR": ":3"}, 1),
        ({"LISTEN_ADDR": ":1"}, {"WEIR_LISTEN": ":4"}, 4),
        ({"WEIR_LISTEN": ":2"}, {"WEIR_LISTEN": ":4"}, 2),
    ],
    ids=["alias", "name over alias", "file", "environment over file", "name in file over alias", "both"],
)
def test_precedence(environ: dict[str, str], dotenv: dict[str, str], port: int) -> None:
    assert load(Example, environ, dotenv).listen.port == port


def test_a_dotenv_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nWEIR_KEEP=5s\nexport WEIR_URL='redis://h/1'\nEMPTY\n")
    assert read_dotenv(file) == {"WEIR_KEEP": "5s", "WEIR_URL": "redis://h/1"}
    assert read_dotenv(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("environ", "dotenv", "message"),
    [
        (
            {"WEIR_KEEP": "soon"},
            {},
            "WEIR_KEEP (environment): 'soon' is not a duration; write it like 500ms, 5s, 15m, 24h or 7d",
        ),
        (
            {},
            {"LISTEN_ADDR": "8080"},
            "LISTEN_ADDR (.env): '8080' is not a listen address; write HOST:PORT, such as 127.0.0.1:8001",
        ),
        (
            {"WEIR_LOG_LEVEL": "loud"},
            {},
            "WEIR_LOG_LEVEL=loud (environment): Input should be 'debug', 'info', 'warning' or 'error'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_origin(
    environ: dict[str, str], dotenv: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load(Example, environ, dotenv)
    assert str(error.value) == message


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load(Example, {"WEIR_KEEP": "soon", "WEIR_BODY": "big"})
    assert len(str(error.value).splitlines()) == 2


def test_a_description_shows_value_and_origin_but_no_secret() -> None:
    environ = {"WEIR_KEY": "sk-secret", "LISTEN_ADDR": "[::1]:9"}
    dotenv = {"WEIR_URL": "redis://weir:pass@h:1/0"}
    rows = {row.names[0]: row for row in describe(load(Example, environ, dotenv), environ, dotenv)}
    assert rows["WEIR_KEY"].value == "********"
    assert rows["WEIR_URL"].value == "redis://weir:********@h:1/0"
    assert rows["WEIR_URL"].origin == ".env (WEIR_URL)"
    assert (rows["WEIR_LISTEN"].value, rows["WEIR_LISTEN"].origin) == ("[::1]:9", "environment (LISTEN_ADDR)")
    assert (rows["WEIR_KEEP"].value, rows["WEIR_KEEP"].origin) == ("1d", "default")
    assert rows["WEIR_LISTEN"].names == ("WEIR_LISTEN", "LISTEN_ADDR")
    assert rows["WEIR_LISTEN"].description == "where it listens"
    assert "secret" not in repr(rows)


def test_a_secret_that_is_wrong_is_not_shown() -> None:
    class Strict(ServiceSettings):
        url: Listen = setting("WEIR_URL", default=":1")
        key: Annotated[SecretStr, AfterValidator(_refuse)] = setting("WEIR_KEY", default="x")

    environ = {"WEIR_URL": "redis://u:hidden@h", "WEIR_KEY": "sk-hidden"}
    with pytest.raises(SettingsError) as error:
        load(Strict, environ)
    assert "hidden" not in str(error.value)
    assert "the key ******** is too short" in str(error.value)


def _refuse(key: SecretStr) -> SecretStr:
    raise ValueError(f"the key {key.get_secret_value()} is too short")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://:pw@h:1/0", "redis://:********@h:1/0"),
        ("https://u:pw@h/p?a=b:c@d", "https://u:********@h/p?a=b:c@d"),
        ("http://h:1/x@y", "http://h:1/x@y"),
        ("redis://h", "redis://h"),
    ],
)
def test_passwords_in_urls_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked

"""Settings: which variable wins, where a value came from, what a wrong one is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import AfterValidator, SecretStr

from weir.servicekit.settings import (
    ServiceSettings,
    SettingsError,
    describe,
    file_names,
    load,
    mask_url,
    read_dotenv,
    setting,
)
from weir.servicekit.values import Bytes, Listen, ListenAddress, Seconds

if TYPE_CHECKING:
    from pathlib import Path


def _refuse_short(key: SecretStr) -> SecretStr:
    raise ValueError(f"the key {key.get_secret_value()} is too short")


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
        key: Annotated[SecretStr, AfterValidator(_refuse_short)] = setting("WEIR_KEY", default="x")

    environ = {"WEIR_URL": "redis://u:hidden@h", "WEIR_KEY": "sk-hidden"}
    with pytest.raises(SettingsError) as error:
        load(Strict, environ)
    assert "hidden" not in str(error.value)
    assert "the key ******** is too short" in str(error.value)


class Guarded(ServiceSettings):
    """Settings that hold secrets."""

    key: Annotated[SecretStr, AfterValidator(_refuse_short)] | None = setting(
        "WEIR_KEY", default=None, holds_secret=True
    )
    url: str = setting("WEIR_URL", "URL", default="redis://h", holds_secret=True)
    listen: Listen = setting("WEIR_LISTEN", default=":1")


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://:pw@h\r\n")
    for environ, dotenv in (({"WEIR_URL_FILE": str(file)}, {}), ({}, {"WEIR_URL_FILE": str(file)})):
        settings = load(Guarded, environ, dotenv)
        assert settings.url == "redis://:pw@h"
        (row,) = (row for row in describe(settings, environ, dotenv) if row.names[0] == "WEIR_URL")
        assert row.value == "redis://:********@h"
        assert row.origin == f"{'environment' if environ else '.env'} (WEIR_URL_FILE)"


def test_the_environment_wins_over_a_file_that_dotenv_names(tmp_path: Path) -> None:
    missing = {"WEIR_URL_FILE": str(tmp_path / "none")}
    assert load(Guarded, {"WEIR_URL": "redis://e"}, missing).url == "redis://e"
    (tmp_path / "none").write_text("redis://f")
    assert load(Guarded, missing, {"WEIR_URL": "redis://d"}).url == "redis://f"
    assert load(Guarded, missing, {"URL": "redis://d"}).url == "redis://f"


@pytest.mark.parametrize("name", ["WEIR_URL", "URL"])
def test_both_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "url"
    file.write_text("redis://f")
    both = {name: "redis://e", "WEIR_URL_FILE": str(file)}
    for environ, dotenv in ((both, {}), ({}, both)):
        with pytest.raises(SettingsError, match=f"^{name} and WEIR_URL_FILE are both set; remove one"):
            load(Guarded, environ, dotenv)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; write the secret into it, or unset WEIR_KEY_FILE"),
        (b" \n\n", "is empty"),
        (b"\xff\xfe", "is not text"),
        (b"x" * 70_000, "is too large"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        load(Guarded, {"WEIR_KEY_FILE": str(file)})
    assert str(error.value).startswith(f"WEIR_KEY_FILE: {file} ")
    assert message in str(error.value)
    assert "xxx" not in str(error.value)


def test_a_folder_and_nothing_are_no_files(tmp_path: Path) -> None:
    for path in (str(tmp_path), ""):
        with pytest.raises(SettingsError, match=r"^WEIR_KEY_FILE: .* cannot be read"):
            load(Guarded, {"WEIR_KEY_FILE": path})


def test_a_wrong_secret_of_a_file_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hidden")
    with pytest.raises(SettingsError) as error:
        load(Guarded, {"WEIR_KEY_FILE": str(file)})
    assert "hidden" not in str(error.value)
    assert str(error.value).startswith("WEIR_KEY_FILE")


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    assert file_names(Guarded) == ["WEIR_KEY_FILE", "WEIR_URL_FILE"]
    assert load(Guarded, {"WEIR_LISTEN_FILE": str(tmp_path)}).listen.port == 1


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

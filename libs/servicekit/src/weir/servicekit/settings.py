"""Settings from the environment and a `.env` file, each with its origin.

A service declares a frozen model whose fields carry their variable names; `load` fills it once,
in `__main__`:

    class DashboardSettings(ServiceSettings):
        listen: Listen = setting("WEIR_DASHBOARD_LISTEN", default="127.0.0.1:3000")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from dotenv import dotenv_values
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_MASK: Final = "********"
_IN_FILE: Final = "may_be_in_a_file"
_MAX_SECRET_BYTES: Final = 64 << 10


class SettingsError(Exception):
    """A setting that cannot be used. The message names it, its origin and what to write instead."""


def setting(*names: str, default: Any, description: str = "", holds_secret: bool = False) -> Any:
    """A field read from the first of these variables that is set.

    What holds a secret can be in a file that the first name with `_FILE` names, as containers get secrets.
    """
    extra: dict[str, JsonValue] | None = {_IN_FILE: True} if holds_secret else None
    return Field(
        default=default,
        validation_alias=AliasChoices(*names),
        description=description,
        json_schema_extra=extra,
    )


class ServiceSettings(BaseModel):
    """What every service can be told."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "WEIR_LOG_LEVEL", default="info", description="debug, info, warning or error"
    )
    log_format: Literal["auto", "console", "json"] = setting(
        "WEIR_LOG_FORMAT",
        default="auto",
        description="console or json; auto is console on a terminal and JSON lines otherwise",
    )


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value came from."""

    name: str
    """The variable that was read, or the one to set."""
    source: str
    """`environment`, the path of the `.env` file, or `default`."""


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as `weir doctor` and the documentation show it."""

    names: tuple[str, ...]
    value: str
    origin: str
    description: str


def read_dotenv(path: Path = Path(".env")) -> dict[str, str]:
    """The variables of a `.env` file; none if there is no such file."""
    values = dotenv_values(path) if path.is_file() else {}
    return {name: value for name, value in values.items() if value is not None}


def load(
    cls: type[SettingsT], environ: Mapping[str, str], dotenv: Mapping[str, str] | None = None
) -> SettingsT:
    """Fill a settings model: the environment wins over `.env`, a name over the aliases after it.

    Raises:
        SettingsError: a value is missing or wrong.
    """
    found = dict(_found(cls, environ, dotenv or {}))
    try:
        fields = cls.model_fields
        return cls.model_validate({_names(fields[name])[0]: value for name, (_, value) in found.items()})
    except ValidationError as error:
        raise SettingsError("\n".join(_complaint(cls, found, detail) for detail in error.errors())) from None


def describe(
    settings: ServiceSettings, environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> list[Described]:
    """Every setting with its value (secrets masked) and its origin."""
    cls = type(settings)
    found = dict(_found(cls, environ, dotenv))
    rows: list[Described] = []
    for field, info in cls.model_fields.items():
        origin = found[field][0] if field in found else Origin(_names(info)[0], "default")
        source = f"{origin.source} ({origin.name})" if origin.source != "default" else "default"
        rows.append(Described(_names(info), _shown(settings, field), source, info.description or ""))
    return rows


def setting_names(cls: type[ServiceSettings]) -> list[tuple[str, ...]]:
    """The variables of every setting, the winning name first."""
    return [_names(info) for info in cls.model_fields.values()]


def file_names(cls: type[ServiceSettings]) -> list[str]:
    """The variables that name a file with a secret in it."""
    return [name for info in cls.model_fields.values() if (name := _file_name(info)) is not None]


def read_secret_file(name: str, path: str) -> str:
    """The secret in the file that a variable names, without the line end at its end.

    Raises:
        SettingsError: the file cannot be read, is empty, or is no text.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        text = data.decode().strip()
    except OSError as error:
        raise SettingsError(f"{name}: {path or 'an empty path'} cannot be read: {error.strerror}") from None
    except ValueError:
        raise SettingsError(
            f"{name}: {path} is not text; write the secret into it and nothing else"
        ) from None
    if not text:
        raise SettingsError(f"{name}: {path} is empty; write the secret into it, or unset {name}")
    if len(data) > _MAX_SECRET_BYTES:
        raise SettingsError(f"{name}: {path} is too large for a secret; name another file")
    return text


def mask_url(url: str) -> str:
    """The URL without the password in it."""
    return _PASSWORD.sub(rf"\1:{_MASK}@", url)


def _names(info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if not isinstance(alias, AliasChoices):
        raise TypeError("a settings field is declared with setting()")
    return tuple(str(name) for name in alias.choices)


def _file_name(info: FieldInfo) -> str | None:
    return f"{_names(info)[0]}_FILE" if info.json_schema_extra == {_IN_FILE: True} else None


def _found(
    cls: type[ServiceSettings], environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> Iterator[tuple[str, tuple[Origin, str]]]:
    """Each field that is set, with the variable that sets it; a name wins over the aliases after it."""
    for field, info in cls.model_fields.items():
        names, file_name = _names(info), _file_name(info)
        for variables in (environ, dotenv):
            both = next((name for name in names if name in variables), None)
            if both is not None and file_name is not None and file_name in variables:
                raise SettingsError(f"{both} and {file_name} are both set; remove one of them")
        for name in names:
            found = _first({"environment": environ, ".env": dotenv}, name, file_name)
            if found is not None:
                yield field, found
                break
            file_name = None


def _first(
    sources: Mapping[str, Mapping[str, str]], name: str, file_name: str | None
) -> tuple[Origin, str] | None:
    """The value of a variable, or what is in the file that another names."""
    for source, variables in sources.items():
        if name in variables:
            return Origin(name, source), variables[name]
        if file_name is not None and file_name in variables:
            return Origin(file_name, source), read_secret_file(file_name, variables[file_name])
    return None


def _complaint(
    cls: type[ServiceSettings], found: Mapping[str, tuple[Origin, str]], detail: Mapping[str, Any]
) -> str:
    location = str(detail["loc"][0]) if detail["loc"] else ""
    for field, info in cls.model_fields.items():
        if location == field or location in _names(info):
            message = cast("str", detail["msg"]).removeprefix("Value error, ")
            if field not in found:
                return f"{_names(info)[0]}: {message}"
            origin, value = found[field]
            shown = _MASK if _is_secret(info) or origin.name == _file_name(info) else mask_url(value)
            message = message.replace(value, shown) if value else message
            quoted = "" if shown and shown in message else f"={shown}"
            return f"{origin.name}{quoted} ({origin.source}): {message}"
    return cast("str", detail["msg"]).removeprefix("Value error, ")


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)


def _shown(settings: ServiceSettings, field: str) -> str:
    value = getattr(settings, field)
    if value is None or value in ("", ()):
        return "-"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, SecretStr):
        return _MASK if value.get_secret_value() else "(empty)"
    return mask_url(str(settings.model_dump(include={field})[field]))

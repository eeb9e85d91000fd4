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
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")
_MASK: Final = "********"


class SettingsError(Exception):
    """A setting that cannot be used. The message names it, its origin and what to write instead."""


def setting(*names: str, default: Any, description: str = "") -> Any:
    """A field read from the first of these variables that is set."""
    return Field(default=default, validation_alias=AliasChoices(*names), description=description)


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
        return cls.model_validate({origin.name: value for origin, value in found.values()})
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


def mask_url(url: str) -> str:
    """The URL without the password in it."""
    return _PASSWORD.sub(rf"\1:{_MASK}@", url)


def _names(info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if not isinstance(alias, AliasChoices):
        raise TypeError("a settings field is declared with setting()")
    return tuple(str(name) for name in alias.choices)


def _found(
    cls: type[ServiceSettings], environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> Iterator[tuple[str, tuple[Origin, str]]]:
    """Each field that is set, with the variable that sets it; a name wins over the aliases after it."""
    for field, info in cls.model_fields.items():
        for name in _names(info):
            if name in environ:
                yield field, (Origin(name, "environment"), environ[name])
                break
            if name in dotenv:
                yield field, (Origin(name, ".env"), dotenv[name])
                break


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
            shown = _MASK if _is_secret(info) else mask_url(value)
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

"""`weir doctor`: every setting with its origin, and a look at everything Weir needs."""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weir.cli.checks import Finding, check_all
from weir.cli.settings import LauncherSettings
from weir.dashboard.settings import DashboardSettings
from weir.metrics_api.settings import MetricsApiSettings
from weir.proxy.settings import ProxySettings
from weir.servicekit.settings import ServiceSettings, SettingsError, describe, file_names, load, setting_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SETTINGS: Final[Mapping[str, type[ServiceSettings]]] = {
    "weir run": LauncherSettings,
    "proxy": ProxySettings,
    "metrics-api": MetricsApiSettings,
    "dashboard": DashboardSettings,
}
"""Every program with its settings."""

_GREEN: Final = "\x1b[32m"
_RED: Final = "\x1b[31m"
_RESET: Final = "\x1b[0m"


@dataclass(slots=True)
class Row:
    """One setting, and the programs that read it."""

    name: str
    value: str
    origin: str
    readers: list[str]


async def examine(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> int:
    """Print what was found; exit code 1 when something is red."""
    loaded: dict[str, ServiceSettings] = {}
    wrong: dict[str, Finding] = {}
    for program, cls in SETTINGS.items():
        try:
            loaded[program] = load(cls, environ, dotenv)
        except SettingsError as error:
            wrong |= {line: Finding.red("setting", line) for line in str(error).splitlines()}
    findings = list(wrong.values())
    findings += [_unknown(name) for name in _unread(environ, dotenv)]
    findings += await check_all(loaded, {**dotenv, **environ})
    _print(_table(_rows(loaded, environ, dotenv)))
    _print("")
    _print(_list(findings))
    return int(any(not finding.ok for finding in findings))


def _rows(
    loaded: Mapping[str, ServiceSettings], environ: Mapping[str, str], dotenv: Mapping[str, str]
) -> list[Row]:
    rows: dict[str, Row] = {}
    for program, settings in loaded.items():
        for described in describe(settings, environ, dotenv):
            name = " = ".join(described.names)
            row = rows.setdefault(name, Row(name, described.value, described.origin, []))
            row.readers.append(program)
            if program != "weir run":  # a service knows its own default best
                row.value = described.value
    return list(rows.values())


def _unread(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and that nothing reads: mistyped, most likely."""
    known = _known()
    return sorted(name for name in {**environ, **dotenv} if name.startswith("WEIR_") and name not in known)


def _known() -> set[str]:
    names = {name for cls in SETTINGS.values() for names in setting_names(cls) for name in names}
    return names | {name for cls in SETTINGS.values() for name in file_names(cls)}


def _unknown(name: str) -> Finding:
    close = difflib.get_close_matches(name, _known(), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Finding.red("setting", f"{name} is set, but nothing reads it{hint}")


def _table(rows: Sequence[Row]) -> str:
    head = Row("setting", "value", "origin", ["read by"])
    cells = [(row.name, row.value, row.origin, ", ".join(row.readers)) for row in (head, *rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    return "\n".join(
        f"{name:{widths[0]}}  {value:{widths[1]}}  {origin:{widths[2]}}  {readers}".rstrip()
        for name, value, origin, readers in cells
    )


def _list(findings: Iterable[Finding]) -> str:
    return "\n".join(f"{_mark(finding)}  {finding.subject}: {finding.detail}" for finding in findings)


def _mark(finding: Finding) -> str:
    mark, colour = ("ok ", _GREEN) if finding.ok else ("red", _RED)
    return f"{colour}{mark}{_RESET}" if sys.stdout.isatty() else mark


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")

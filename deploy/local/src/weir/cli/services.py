"""The three services as the launcher starts them, each a process of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from weir.cli.program import Program
from weir.servicekit.values import ListenAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.cli.settings import LauncherSettings

_STOP_SECONDS: Final = 15.0
"""How long a service may take to end, beside the time in which a proxy finishes requests."""


class Services:
    """How each service is started, and how it is started again where it listened before."""

    def __init__(self, settings: LauncherSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def proxy(self, upstream: Mapping[str, str]) -> Program:
        return self._service("proxy", "weir.proxy", upstream, self._settings.proxy_drain + _STOP_SECONDS)

    def metrics_api(self) -> Program:
        return self._service("metrics-api", "weir.metrics_api", {}, _STOP_SECONDS)

    def dashboard(self, backend_url: str) -> Program:
        return self._service("dashboard", "weir.dashboard", {"WEIR_BACKEND_URL": backend_url}, _STOP_SECONDS)

    def proxy_place(self, urls: Mapping[str, str]) -> Mapping[str, str]:
        return {
            "WEIR_PROXY_LISTEN": _at(self._settings.proxy_listen, urls["url"]),
            "WEIR_PROXY_ADMIN_LISTEN": _at(self._settings.proxy_admin_listen, urls["admin_url"]),
        }

    def metrics_api_place(self, urls: Mapping[str, str]) -> Mapping[str, str]:
        return {"WEIR_API_LISTEN": _at(self._settings.api_listen, urls["url"])}

    def dashboard_place(self, urls: Mapping[str, str]) -> Mapping[str, str]:
        return {"WEIR_DASHBOARD_LISTEN": _at(self._settings.dashboard_listen, urls["url"])}

    def _service(self, name: str, module: str, changes: Mapping[str, str], stop_seconds: float) -> Program:
        return Program(name, (sys.executable, "-m", module), {**self._environ, **changes}, stop_seconds)


def _at(listen: ListenAddress, url: str) -> str:
    """The address that was asked for, with the port that port 0 became."""
    return str(ListenAddress(listen.host, urlsplit(url).port or listen.port))

"""What `weir doctor` looks at. Each check says what it found and, when it is red, how to mend it."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from weir.cli.private_redis import find_server
from weir.cli.settings import LauncherSettings
from weir.cli.upstream import choose
from weir.dashboard.settings import DashboardSettings
from weir.proxy.config import load_config
from weir.proxy.providers import PROVIDERS
from weir.proxy.settings import ProxySettings
from weir.proxy.tls import client_context
from weir.servicekit.run import cannot_listen
from weir.servicekit.settings import SettingsError, mask_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from weir.servicekit.settings import ServiceSettings
    from weir.servicekit.values import ListenAddress

_TIMEOUT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's list."""

    subject: str
    detail: str
    ok: bool

    @classmethod
    def green(cls, subject: str, detail: str) -> Finding:
        return cls(subject, detail, ok=True)

    @classmethod
    def red(cls, subject: str, detail: str) -> Finding:
        return cls(subject, detail, ok=False)


async def check_all(loaded: Mapping[str, ServiceSettings], environ: Mapping[str, str]) -> list[Finding]:
    """Look at everything these settings speak of."""
    findings = [check_versions()]
    launcher, proxy, dashboard = (loaded.get(name) for name in ("weir run", "proxy", "dashboard"))
    if isinstance(launcher, LauncherSettings):
        findings += [check_data_dir(launcher.data_dir), await check_redis(launcher, environ)]
        if isinstance(proxy, ProxySettings):
            findings += await check_upstreams(launcher, proxy, environ)
        findings += await check_ports(launcher)
    if isinstance(dashboard, DashboardSettings):
        findings.append(check_spa(dashboard.spa_dir))
    return findings


def check_versions() -> Finding:
    python, system = platform.python_version(), platform.platform(terse=True)
    return Finding.green("versions", f"weir {version('weir')}, Python {python}, {system}")


def check_data_dir(data_dir: Path) -> Finding:
    """Whether it can be written to, or made."""
    place = data_dir.resolve()
    existing = next(parent for parent in (place, *place.parents) if parent.exists())
    try:
        with TemporaryFile(dir=existing):
            will_be = "" if existing == place else " (made by the first run)"
            return Finding.green("data directory", f"{place}{will_be}")
    except OSError as error:
        why = os.strerror(error.errno or 0)
        fix = "mend its permissions or set WEIR_DATA_DIR to another folder"
        return Finding.red("data directory", f"cannot write to {place} ({why}); {fix}")


async def check_redis(settings: LauncherSettings, environ: Mapping[str, str]) -> Finding:
    """Whether the given Redis answers, or one can be started."""
    if settings.redis_url is None:
        server = find_server(environ.get("PATH", os.defpath))
        if server:
            return Finding.green("redis", f"weir run starts a private one: {server}")
        return Finding.red("redis", "no redis-server found; install Redis or set REDIS_URL to a running one")
    url = settings.redis_url
    shown = mask_url(url)
    try:
        async with Redis.from_url(url, socket_timeout=_TIMEOUT_SECONDS, retry=None) as redis:
            info = await redis.info("server")
    except ValueError as error:
        return Finding.red("redis", f"REDIS_URL={shown}: {error}")
    except (RedisError, OSError) as error:
        fix = "start it, or set REDIS_URL to one that runs, with its password (redis://:PASSWORD@HOST:6379/0)"
        return Finding.red("redis", f"{shown} does not answer ({_one_line(error)}); {fix}")
    return Finding.green("redis", f"{shown} answers, version {info['redis_version']}")


async def check_upstreams(
    launcher: LauncherSettings, proxy: ProxySettings, environ: Mapping[str, str]
) -> list[Finding]:
    """Whether each model server answers anything at all; what it answers is between it and the client."""
    if not launcher.config and not launcher.upstream_url:
        return [Finding.green("upstream", (await choose(launcher)).description)]
    try:
        config = load_config(proxy, environ, frozenset(PROVIDERS))
    except SettingsError as error:
        return [Finding.red("upstream", line) for line in str(error).splitlines()]
    return await asyncio.gather(*(_check_upstream(one.name, one.url, one.ca) for one in config.upstreams))


async def _check_upstream(name: str, url: str, authority: str | None) -> Finding:
    subject, shown, tls = f"upstream {name}", mask_url(url), client_context(authority)
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=tls) as client:
            answer = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "start the model server or correct its URL"
        return Finding.red(subject, f"{shown} does not answer ({_one_line(error)}); {fix}")
    return Finding.green(subject, f"{shown} answers ({answer.status_code})")


async def check_ports(settings: LauncherSettings) -> list[Finding]:
    """Whether each address is free, or Weir's own already."""
    listens = (
        ("proxy port", settings.proxy_listen, "WEIR_PROXY_LISTEN", settings.proxy_admin_listen),
        ("admin port", settings.proxy_admin_listen, "WEIR_PROXY_ADMIN_LISTEN", settings.proxy_admin_listen),
        ("metrics API port", settings.api_listen, "WEIR_API_LISTEN", settings.api_listen),
        ("dashboard port", settings.dashboard_listen, "WEIR_DASHBOARD_LISTEN", settings.dashboard_listen),
    )
    return await asyncio.gather(*(_check_port(*listen) for listen in listens))


async def _check_port(
    subject: str, listen: ListenAddress, setting_name: str, health: ListenAddress
) -> Finding:
    try:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen.host, listen.port))
    except OSError as error:
        if await _is_healthy(health):
            return Finding.green(subject, f"{listen} is in use, by a Weir that answers")
        return Finding.red(subject, cannot_listen(listen, error, setting_name))
    return Finding.green(subject, f"{listen} is free")


async def _is_healthy(listen: ListenAddress) -> bool:
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            answer = await client.get(f"{listen.url}/healthz")
            return answer.status_code == HTTPStatus.OK and answer.json() == {"status": "ok"}
    except (httpx.HTTPError, ValueError):
        return False


def check_spa(folder: Path) -> Finding:
    if (folder / "index.html").is_file():
        return Finding.green("dashboard", f"built in {folder}")
    return Finding.red("dashboard", f"not built in {folder}; run make setup, or set WEIR_SPA_DIR to a build")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

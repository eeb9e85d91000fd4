"""Where requests go: what the settings say, else an Ollama on this machine, else the demo model."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httpx

from weir.servicekit.settings import mask_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.cli.settings import LauncherSettings

OLLAMA: Final = "http://127.0.0.1:11434"
_DETECT_SECONDS: Final = 0.3
_SOME_MODEL: Final = "MODEL"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The choice: words for it, a model to try, and what the proxy must be told."""

    description: str
    model: str = _SOME_MODEL
    environ: Mapping[str, str] = field(default_factory=dict[str, str])


async def choose(settings: LauncherSettings, ollama: str = OLLAMA) -> Upstream:
    """What `weir run` sends requests to."""
    if settings.config:
        return Upstream(f"as {settings.config} says")
    if settings.upstream_url:
        return Upstream(mask_url(settings.upstream_url))
    if not settings.demo and (found := await _ollama(ollama)):
        return found
    return Upstream(
        "Demo upstream: built in, its answers are made up (set WEIR_UPSTREAM_URL for a real one)",
        model="demo",
        environ={"WEIR_DEMO": "1"},
    )


async def _ollama(url: str) -> Upstream | None:
    try:
        async with httpx.AsyncClient(timeout=_DETECT_SECONDS, trust_env=False) as client:
            version = await client.get(f"{url}/api/version")
            if version.status_code != HTTPStatus.OK:
                return None
            models = _names(await client.get(f"{url}/api/tags"))
    except httpx.HTTPError:
        return None
    return Upstream(
        f"Ollama at {url}",
        model=models[0] if models else _SOME_MODEL,
        environ={"WEIR_UPSTREAM_URL": url},
    )


def _names(tags: httpx.Response) -> list[str]:
    """The models in Ollama's answer; none if it is not what it should be."""
    try:
        body = cast("dict[str, Any]", tags.json())
        return [str(model["name"]) for model in body["models"]]
    except (ValueError, KeyError, TypeError):
        return []

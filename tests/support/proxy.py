"""The proxy as a real process, and the requests tests send through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.support.processes import Process, start
from tests.support.raw_http import Answer, post_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

CHAT: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"


def start_proxy(redis_url: str, data_dir: Path, settings: Mapping[str, str]) -> Process:
    """Start a proxy with one worker on free ports; `settings` are environment variables that go on top."""
    data_dir.mkdir(parents=True, exist_ok=True)
    environment = {
        "WEIR_PROXY_LISTEN": "127.0.0.1:0",
        "WEIR_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "WEIR_PROXY_WORKERS": "1",
        "WEIR_LOG_FORMAT": "json",
        "REDIS_URL": redis_url,
        "WEIR_DATA_DIR": str(data_dir),
        **settings,
    }
    return start(["python", "-m", "weir.proxy"], environment, cwd=data_dir)


def completion(model: str, marker: str = "", *, stream: bool = False, **more: Any) -> dict[str, Any]:
    """The body of a chat completion. The prompt holds the marker, by which the upstream finds it."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": f"Hello {marker}"}]}
    if stream:
        body["stream"] = True
    return body | more


async def ask(
    url: str,
    model: str,
    marker: str,
    *,
    stream: bool = False,
    headers: Iterable[tuple[str, str]] = (),
    **more: Any,
) -> Answer:
    """Send one completion on a connection of its own, with the marker as `x-request-id`."""
    body = completion(model, marker, stream=stream, **more)
    return await post_json(url, CHAT, body, [("x-request-id", marker), *headers])

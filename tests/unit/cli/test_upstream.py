"""Where requests go: the settings, else an Ollama, else the demo model."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from weir.cli.settings import LauncherSettings
from weir.cli.upstream import choose
from weir.servicekit.settings import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Ollama = Callable[[object], Awaitable[str]]

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
async def ollama() -> AsyncIterator[Ollama]:
    """Serve something that looks like an Ollama with these tags; its URL."""
    async with AsyncExitStack() as stack:

        async def serve(tags: object) -> str:
            async def answer(request: web.Request) -> web.Response:
                return web.json_response({"version": "0.20.0"} if "version" in request.path else tags)

            app = web.Application()
            app.router.add_get("/api/{what}", answer)
            server = await stack.enter_async_context(TestServer(app))
            return str(server.make_url("")).rstrip("/")

        yield serve


async def test_the_settings_come_first(ollama: Ollama) -> None:
    url = await ollama({"models": [{"name": "llama3"}]})
    given = await choose(load(LauncherSettings, {"WEIR_UPSTREAM_URL": "http://u:pw@vllm:8000"}), url)
    assert (given.description, given.environ) == ("http://u:********@vllm:8000", {})
    config = await choose(load(LauncherSettings, {"WEIR_CONFIG": "weir.yaml"}), url)
    assert (config.description, config.environ) == ("as weir.yaml says", {})


async def test_an_ollama_that_answers_is_used(ollama: Ollama) -> None:
    url = await ollama({"models": [{"name": "llama3:8b"}, {"name": "qwen"}]})
    chosen = await choose(load(LauncherSettings, {}), url)
    assert chosen.description == f"Ollama at {url}"
    assert chosen.model == "llama3:8b"
    assert chosen.environ == {"WEIR_UPSTREAM_URL": url}


@pytest.mark.parametrize("tags", [{}, {"models": []}, {"models": None}, [], {"models": [{"id": 1}]}])
async def test_an_ollama_without_models_is_used_all_the_same(ollama: Ollama, tags: object) -> None:
    chosen = await choose(load(LauncherSettings, {}), await ollama(tags))
    assert chosen.model == "MODEL"


async def test_else_the_demo_model_answers_and_that_is_said() -> None:
    chosen = await choose(load(LauncherSettings, {}), NOWHERE)
    assert chosen.description.startswith("Demo upstream")
    assert (chosen.model, chosen.environ) == ("demo", {"WEIR_DEMO": "1"})


async def test_the_demo_can_be_asked_for(ollama: Ollama) -> None:
    url = await ollama({"models": [{"name": "llama3"}]})
    assert (await choose(load(LauncherSettings, {"WEIR_DEMO": "1"}), url)).model == "demo"

"""Run a client's program against a base URL."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.support.clients.environment import HOME, installing

DEADLINE_SECONDS: Final = 60
FOLDER: Final = Path(__file__).parent
NODE_CLIENT: Final = FOLDER.parent / "node_client"
QUIET: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGCHAIN_TRACING_V2": "false",
    "PYTHONWARNINGS": "ignore",
    "NO_PROXY": "*",
}
"""Nobody asks for anything but at the address given."""


async def run_sdk(python: Path, program: str, base_url: str) -> dict[str, Any]:
    """What the program printed: an object."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    path = str(FOLDER / f"{program}.py")
    output = await run_command(str(python), "-I", path, base_url, environment={**kept, **QUIET})
    return json.loads(output.splitlines()[-1])  # litellm has advice to print before that


async def run_node_client(base_url: str, model: str) -> dict[str, Any]:
    """What openai-node made of the answers."""
    await node_modules()
    return json.loads(await run_command("node", str(NODE_CLIENT / "chat.js"), base_url, model))


async def node_modules() -> Path:
    """The folder that openai-node is in; it is installed the first time."""
    return await asyncio.to_thread(_node_modules)


def _node_modules() -> Path:
    modules = NODE_CLIENT / "node_modules"
    with installing(HOME / "node_client.lock"):
        if not (modules / "openai").is_dir():
            subprocess.run(["npm", "ci"], cwd=NODE_CLIENT, check=True, capture_output=True, timeout=100)
    return modules


async def run_command(*command: str, environment: dict[str, str] | None = None) -> bytes:
    """The standard output of a program that must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return output

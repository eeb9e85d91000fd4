"""Each image's exact commands, run outside Docker: as its own user, from code it cannot write."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.dockerfile import read_dockerfile
from tests.support.images import CHECKOUT, IMAGES, Image, built, in_context
from tests.support.processes import Process, start
from tests.support.proxy import ask
from tests.support.raw_http import fetch
from tests.support.redis_server import free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.redis_server import RedisServer

LISTENS: Final = {
    "proxy": ("WEIR_PROXY_ADMIN_LISTEN", "WEIR_PROXY_LISTEN"),
    "metrics-api": ("WEIR_API_LISTEN",),
    "dashboard": ("WEIR_DASHBOARD_LISTEN",),
}
"""Where an image listens; its health check asks at the first."""


class Container:
    """A process started as the image says, but for its addresses: 127.0.0.1 and free ports."""

    def __init__(self, name: str, settings: Mapping[str, str]) -> None:
        self.image: Image = built(name)
        self.image.empty_volume()
        ports = {setting: free_port() for setting in LISTENS[name]}
        self.health_url = f"http://127.0.0.1:{ports[LISTENS[name][0]]}"
        self.env: dict[str, str] = {**self.image.env, **settings}
        self.env |= {setting: f"127.0.0.1:{port}" for setting, port in ports.items()}
        command = [*self.image.drop_privileges, *self.image.command]
        self.process: Process = start(command, {**self.env, "HOME": "/"}, cwd=self.image.workdir)

    def healthcheck(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.image.healthcheck,
            env={name: self.env[name] for name in LISTENS[self.image.name]},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )

    def stop(self) -> int:
        return self.process.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def containers(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[dict[str, Container]]:
    """All three, as docker-compose.yml connects them, with and without its profile `postgres`."""
    settings = {"REDIS_URL": redis_server.url}
    if request.param == "postgres":
        settings["WEIR_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    api = Container("metrics-api", settings)
    started = {
        "metrics-api": api,
        "proxy": Container("proxy", {"REDIS_URL": redis_server.url, "WEIR_DEMO": "1"}),
        "dashboard": Container("dashboard", {"WEIR_BACKEND_URL": api.process.url}),
    }
    yield started
    for container in started.values():
        if container.process.running():
            container.process.kill9()


async def test_the_images_do_the_main_job_together(containers: dict[str, Container]) -> None:
    answer = await ask(containers["proxy"].process.url, "demo", "from-containers")
    assert answer.status == 200

    async def row() -> list[dict[str, object]]:
        page = await fetch(containers["dashboard"].process.url, "GET", "/api/requests")
        return page.json()["items"] if page.status == 200 else []

    (stored,) = await eventually(row, "the request is on the dashboard")
    assert stored["request_id"] == answer.header("x-weir-request-id")
    page = await fetch(containers["dashboard"].process.url, "GET", "/")
    assert page.status == 200
    assert b"<div id=" in page.body
    graphiql = await fetch(containers["dashboard"].process.url, "GET", "/graphql")
    assert graphiql.status == 200, "GraphiQL is in the image"

    for container in containers.values():
        health = await fetch(container.health_url, "GET", "/healthz")
        assert (health.status, health.json()) == (200, {"status": "ok"})
        assert container.healthcheck().returncode == 0
        _runs_as(container.image, container.process.pid)
        assert container.stop() == 0, container.process.stderr
        _only_the_data_folder_was_written(container.image)
        failed = container.healthcheck()
        assert failed.returncode == 1
        assert "/healthz on port" in failed.stderr


def _runs_as(image: Image, pid: int) -> None:
    if not image.drop_privileges:
        return
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert set(status["Uid"].split()) == {str(image.uid)}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def _only_the_data_folder_was_written(image: Image) -> None:
    if not image.drop_privileges:
        return
    data = image.root / "var/lib/weir"
    outside = [
        path
        for path in image.root.rglob("*")
        if not path.is_relative_to(data) and path.lstat().st_uid != os.getuid()
    ]
    assert outside == []


def test_the_proxy_refuses_to_lend_its_key_to_anyone(tmp_path: Path) -> None:
    image = built("proxy")
    settings = {
        "WEIR_UPSTREAM_URL": "http://127.0.0.1:9",
        "WEIR_UPSTREAM_API_KEY": "sk-of-the-operator",
        "WEIR_PROXY_LISTEN": f"0.0.0.0:{free_port()}",
        "WEIR_DATA_DIR": str(tmp_path),
    }
    refused = subprocess.run(
        image.command,
        env={**image.env, **settings},
        cwd=image.workdir,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert refused.returncode == 2
    assert "WEIR_ALLOW_ANONYMOUS=1" in refused.stderr
    assert "sk-of-the-operator" not in refused.stderr


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_that_installs_or_compiles_is_in_the_image(name: str) -> None:
    programs = {path.name for path in (built(name).root / "opt/weir/bin").iterdir()}
    assert not {each for each in programs if each.startswith(("pip", "uv", "weir", "hatch"))}
    last = read_dockerfile(CHECKOUT / "deploy/docker" / f"{name}.Dockerfile")[-1]
    assert "slim" in last.base
    assert all("apt-get" not in each.text for each in last.all("RUN"))


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_runs_as_a_user_by_number_and_needs_no_shell(name: str) -> None:
    image = built(name)
    assert image.uid > 0
    for instruction in ("ENTRYPOINT", "HEALTHCHECK"):
        text = image.stage.one(instruction).text.removeprefix("CMD").strip()
        assert text.startswith("["), f"{instruction} is run by a shell"


def test_the_three_files_build_in_the_same_way() -> None:
    """One file per service, so that each can be read alone; what is the same in them stays the same."""
    stages = [read_dockerfile(CHECKOUT / "deploy/docker" / f"{name}.Dockerfile") for name in IMAGES]
    builds = [next(stage for stage in each if stage.name == "build") for each in stages]
    assert len({stage.base for stage in builds} | {each[-1].base for each in stages}) == 1
    tools = {tuple(str(instruction) for instruction in stage.instructions[:4]) for stage in builds}
    assert len(tools) == 1
    health = {str(each[-1].one("HEALTHCHECK").flags) for each in stages}
    assert len(health) == 1


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")
@pytest.mark.parametrize("name", ["dashboard", "metrics-api"])
def test_the_lock_of_the_pages_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    """`npm ci` refuses a lock that does not fit package.json. The build itself is that of `make setup`."""
    pages = read_dockerfile(CHECKOUT / "deploy/docker" / f"{name}.Dockerfile")[0]
    files = pages.all("COPY")[0].words[:-1]
    assert all(in_context(file) for file in files)
    for file in files:
        shutil.copy(CHECKOUT / file, tmp_path)
    command = pages.all("RUN")[0].words
    assert command[:2] == ["npm", "ci"]
    done = subprocess.run(
        [*command, "--dry-run"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("services/proxy/src/weir/proxy/worker.py", True),
        ("deploy/locks/proxy.txt", True),
        ("frontend/.npmrc", True),
        ("frontend/src/main.tsx", True),
        ("tools/graphiql/.npmrc", True),
        ("tools/graphiql/src/main.jsx", True),
        ("tools/graphiql/node_modules/react/index.js", False),
        ("tools/codegen/package.json", False),
        ("services/metrics_api/src/weir/metrics_api/pages/graphiql/graphiql.js", False),
        (".env", False),
        ("proxy.env", False),
        ("data/weir.db", False),
        (".git/config", False),
        ("frontend/node_modules/react/index.js", False),
        ("frontend/dist/index.html", False),
        ("frontend/.env", False),
        ("services/proxy/src/weir/proxy/__pycache__/worker.pyc", False),
        ("deploy/local/src/weir/cli/__main__.py", False),
        ("tests/conftest.py", False),
    ],
)
def test_only_what_is_needed_is_sent_to_the_build(path: str, kept: bool) -> None:
    assert in_context(path) is kept

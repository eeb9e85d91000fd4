"""Weir's images without a Docker engine: every instruction of a Dockerfile, carried out in a folder.

Absolute paths of the image (`/build`, `/opt`, `/srv`, `/var/lib/weir`) lie below that folder; the base
image's `python` is a Python of this machine that other users may run. RUN, COPY, ENV, WORKDIR, USER,
HEALTHCHECK and ENTRYPOINT are what the file says.
"""

from __future__ import annotations

import atexit
import fnmatch
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.dockerfile import Instruction, Stage, read_dockerfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHECKOUT: Final = Path(__file__).parents[2]
IMAGES: Final = ("proxy", "metrics-api", "dashboard")
BY_NODE: Final = {
    "pages": "frontend/dist",
    "graphiql": "services/metrics_api/src/weir/metrics_api/pages/graphiql",
}
"""What the stages on Node make, by their names; the path is that of the checkout."""
_OWN_PATH: Final = re.compile(r"(?<![\w./-])/(?:build|opt|srv|var/lib/weir)(?=[/\s:'\"]|$)")
_STEP_SECONDS: Final = 110.0
_LEAST_PYTHON: Final = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its last stage, and the folder that stands for its root."""

    name: str
    stage: Stage
    root: Path

    @property
    def python(self) -> Path:
        return self.root / "opt/weir/bin/python"

    @property
    def command(self) -> list[str]:
        """The exact ENTRYPOINT."""
        return [self.inside(word) for word in self.stage.one("ENTRYPOINT").words]

    @property
    def healthcheck(self) -> list[str]:
        """The exact command of the HEALTHCHECK."""
        text = self.stage.one("HEALTHCHECK").text
        return [self.inside(word) for word in Instruction("CMD", {}, text.removeprefix("CMD").strip()).words]

    @property
    def workdir(self) -> Path:
        return Path(self.inside(self.stage.all("WORKDIR")[-1].text))

    @property
    def env(self) -> dict[str, str]:
        return {name: self.inside(value) for name, value in self.stage.env.items()}

    @property
    def uid(self) -> int:
        return int(self.stage.one("USER").text.split(":")[0])

    def empty_volume(self) -> None:
        """What a new volume holds: nothing."""
        for volume in self.stage.all("VOLUME"):
            for left in Path(self.inside(volume.text)).iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def inside(self, text: str) -> str:
        """The text with the image's paths where they really are."""
        return _inside(self.root, text)

    @property
    def drop_privileges(self) -> list[str]:
        """What to put before a command to run it as the image's user; nothing where only root could."""
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            return []
        ids = ["--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"]
        return ["setpriv", *ids, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run a few lines of Python in the image, as its user."""
        return subprocess.run(
            [*self.drop_privileges, str(self.python), "-I", "-c", code],
            cwd=self.workdir,
            env={**self.env, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _as_user(uid: int) -> dict[str, Any]:
    """Arguments of `subprocess` that drop every privilege of root."""
    return {"user": uid, "group": uid, "extra_groups": []}


@functools.cache
def built(name: str) -> Image:
    """Build an image, once in a test session."""
    root = Path(tempfile.mkdtemp(prefix=f"weir-image-{name}-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    root.chmod(0o755)
    stages = read_dockerfile(CHECKOUT / "deploy/docker" / f"{name}.Dockerfile")
    for stage in stages:
        if stage.base.startswith("node:"):
            _use_built(stage.name, root)
        else:
            _build(stage, root)
    shutil.rmtree(root / "build")
    return Image(name, stages[-1], root)


def in_context(path: str) -> bool:
    """Whether `.dockerignore` lets a path of the checkout into the build."""
    kept = True
    for line in (CHECKOUT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and _matches(pattern, path):
            kept = line.startswith("!")
    return kept


def _matches(pattern: str, path: str) -> bool:
    """As Docker does: a pattern also takes everything below what it matches."""
    parts = path.split("/")
    heads = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatchcase(part, pattern.removeprefix("**/")) for part in parts)
    return any(head.count("/") == pattern.count("/") and fnmatch.fnmatchcase(head, pattern) for head in heads)


def _build(stage: Stage, root: Path) -> None:
    workdir = root
    environ = {"PATH": f"{_base(root)}:/usr/local/bin:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    # how packages are reached from this machine
    environ |= {name: value for name, value in os.environ.items() if _is_about_packages(name)}
    for instruction in stage.instructions:
        match instruction.name:
            case "WORKDIR":
                workdir = Path(_inside(root, instruction.text))
                workdir.mkdir(parents=True, exist_ok=True)
            case "ENV":
                environ |= {
                    name: _inside(root, value)
                    for name, _, value in (word.partition("=") for word in instruction.words)
                }
            case "COPY":
                _copy(instruction, root, workdir)
            case "RUN":
                _run(instruction.text, root, workdir, environ)
            case _:
                pass


def _copy(instruction: Instruction, root: Path, workdir: Path) -> None:
    *sources, target = instruction.words
    destination = workdir / _inside(root, target)
    for source in sources:
        if "from" in instruction.flags:
            origin = Path(_inside(root, source))
            if origin != destination:
                shutil.copytree(origin, destination, dirs_exist_ok=True)
            continue
        assert in_context(source), f"{source} is not in the build's context: see .dockerignore"
        origin = CHECKOUT / source
        if origin.is_dir():
            shutil.copytree(origin, destination, ignore=_not_in_context, dirs_exist_ok=True)
        else:
            into = destination / origin.name if target.endswith("/") else destination
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, into)


def _not_in_context(folder: str, names: Sequence[str]) -> set[str]:
    return {name for name in names if not in_context((Path(folder) / name).relative_to(CHECKOUT).as_posix())}


def _run(script: str, root: Path, workdir: Path, environ: Mapping[str, str]) -> None:
    script = _inside(root, script)
    if os.geteuid() != 0:
        script = re.sub(r" --(?:owner|group)=\d+", "", script)
    done = subprocess.run(
        ["/bin/sh", "-ec", script],
        cwd=workdir,
        env={**environ},
        capture_output=True,
        text=True,
        timeout=_STEP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"RUN {script}\n{done.stdout}{done.stderr}"


def _use_built(stage: str, root: Path) -> None:
    """In place of a Node stage: what it makes, as `make setup` has built it."""
    made = BY_NODE[stage]
    assert (CHECKOUT / made).is_dir(), f"build {made} first: make setup"
    shutil.copytree(CHECKOUT / made, root / "build" / made)


def _inside(root: Path, text: str) -> str:
    return _OWN_PATH.sub(lambda found: f"{root}{found[0]}", text)


def _base(root: Path) -> Path:
    """A folder with the base image's `python`: not a link, by which some could not find their library."""
    folder = root / "base"
    folder.mkdir(exist_ok=True)
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(base_python())} "$@"\n')
    program.chmod(0o755)
    return folder


@functools.cache
def base_python() -> str:
    """A Python that the images' user may run; root's own is often in a home nobody else may enter."""
    beside = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    users: tuple[dict[str, Any], ...] = (_as_user(10001), {}) if os.geteuid() == 0 else ({},)
    for user in users:
        for candidate in (beside, "/usr/local/bin/python3", "/usr/bin/python3"):
            with suppress(OSError):
                if subprocess.run([candidate, "-c", _LEAST_PYTHON], check=False, **user).returncode == 0:
                    return candidate
    raise AssertionError("there is no Python to stand for the base image's")


def _is_about_packages(name: str) -> bool:
    return name.startswith(("PIP_", "UV_", "SSL_")) or name.lower() in {
        "http_proxy",
        "https_proxy",
        "no_proxy",
    }

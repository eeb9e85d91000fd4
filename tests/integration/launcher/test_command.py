"""The `weir` command: every sub-command explains itself, and a wrong call is told what is right."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from tests.support.processes import start
from tests.support.raw_http import fetch


def weir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weir.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    ["run", "proxy", "metrics-api", "dashboard", "doctor", "version", "backup", "restore", "migrate"],
)
def test_every_command_has_help(command: str) -> None:
    said = weir(command, "--help")
    assert said.returncode == 0
    assert f"Usage: weir {command}" in said.stdout
    assert command in weir("--help").stdout


def test_version() -> None:
    assert weir("version").stdout.startswith(f"weir {version('weir')} (Python 3.")
    assert weir("--version").stdout.strip() == version("weir")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fly",), "fly"),
        (("dashboard", "--port", "many"), "many"),
        (("dashboard", "--port", "70000"), "70000"),
        (("dashboard", "--backend-url", "ftp://x"), "is not an http:// or https:// URL"),
    ],
)
def test_a_wrong_call_is_refused_with_words(arguments: tuple[str, ...], words: str) -> None:
    said = weir(*arguments)
    assert said.returncode != 0
    assert words in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


async def test_the_dashboard_takes_its_port_and_backend_from_the_call() -> None:
    dashboard = start(
        ["python", "-m", "weir.cli", "dashboard", "--port", "0", "--backend-url", "http://127.0.0.1:1"], {}
    )
    answer = await fetch(dashboard.url, "GET", "/api/status")
    assert (answer.status, answer.json()["backend_url"]) == (502, "http://127.0.0.1:1")
    assert dashboard.stop() == 0

"""What `make audit` finds by itself, and how it tells findings from questions that nobody answered."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit: Final = _load()


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "deploy" / "locks").glob("*.txt")), ids=lambda lock: lock.name
)
def test_every_lock_pins_versions_and_hashes(lock: Path) -> None:
    assert audit.without_hash(lock.read_text()) == []


@pytest.mark.parametrize(
    ("lock", "loose"),
    [
        ("a==1 \\\n    --hash=sha256:00\n    # via b\n", []),
        ("a==1\n", ["a==1"]),
        ("a>=1 \\\n    --hash=sha256:00\n", ["a>=1"]),
        ("a==1 \\\n    --hash=sha256:00\nb==2 \\\n    --hash=md5:00\n", ["b==2"]),
    ],
)
def test_what_is_not_pinned_is_named(lock: str, loose: list[str]) -> None:
    assert audit.without_hash(lock) == loose


def test_a_start_file_that_runs_code_is_a_surprise(tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_text("import os; os.system('x')\n")
    (tmp_path / "distutils-precedence.pth").write_text("import os; pass\n")
    (tmp_path / "path.pth").write_text("/some/where\nimportant/folder\n")
    assert audit.surprising_start_files(tmp_path) == ["evil.pth"]


def test_nothing_installed_here_runs_code_at_the_start() -> None:
    (site_packages,) = (ROOT / ".venv").glob("lib/python*/site-packages")
    assert audit.surprising_start_files(site_packages) == []


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (0, "No known vulnerabilities found", 0),
        (0, "No known vulnerabilities found\nyarl Dependency not found on PyPI and could not be audited", 2),
        (1, "Found 2 known vulnerabilities in 1 package", 1),
        (1, "3 high severity vulnerabilities", 1),
        (1, "npm error audit endpoint returned an error", 2),
        (1, "requests.exceptions.ConnectionError: Max retries exceeded", 2),
        (127, "connection: [Errno 2] No such file or directory", 2),
        (1, "something else", 1),
    ],
)
def test_silence_is_not_taken_for_well(status: int, said: str, verdict: int) -> None:
    assert audit.verdict(status, said) == verdict

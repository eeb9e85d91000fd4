"""Keys that the proxy lets in."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from weir.cli.keys import NewKey
from weir.proxy.config import ConfigFile

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_has_256_random_bits_and_is_not_in_what_is_written_down() -> None:
    drawn = {NewKey.draw("ci").key for _ in range(100)}
    assert len(drawn) == 100
    assert all(re.fullmatch(r"weir-[A-Za-z0-9_-]{43}", key) for key in drawn)
    key = NewKey.draw("ci")
    assert key.key not in key.yaml
    assert key.key not in repr(key)


@pytest.mark.parametrize("name", ["ci", "2024", "on", "null", "1.5", "team-a.laptop_2", "-", "büro"])
def test_the_lines_are_what_the_proxy_reads(name: str) -> None:
    drawn = NewKey.draw(name)
    [client] = ConfigFile.model_validate(yaml.safe_load(drawn.yaml)).clients
    assert client.name == name
    assert client.sha256 == hashlib.sha256(drawn.key.encode()).hexdigest()


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\nb", "x" * 65, "a:b"])
def test_what_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        NewKey.draw(name)


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weir.cli", "keys", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=cwd)


def test_the_command_prints_key_and_lines_and_keeps_nothing(tmp_path: Path) -> None:
    said = _run("new", "ci", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    [key] = re.findall(r"^weir-[\w-]{43}$", said.stdout, re.MULTILINE)
    [block] = re.findall(r"^clients:\n(?: .*\n)+", said.stdout, re.MULTILINE)
    [client] = ConfigFile.model_validate(yaml.safe_load(block)).clients
    assert (client.name, client.sha256) == ("ci", hashlib.sha256(key.encode()).hexdigest())
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_call_is_told_what_is_right(tmp_path: Path) -> None:
    said = _run("new", "a b", cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr.startswith("weir keys new: 'a b' is not a name;")
    assert _run("new", cwd=tmp_path).returncode != 0

"""Every setting is in `.env.example` and in README's table with its true default, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from weir.cli.doctor import SETTINGS
from weir.servicekit.settings import Described, describe, file_names, load, read_dotenv

ROOT: Final = Path(__file__).parents[3]
OF_THIS_MACHINE: Final = {"WEIR_PROXY_WORKERS", "WEIR_PROXY_ID", "WEIR_SPA_DIR", "WEIR_DATABASE_URL"}
"""Their defaults are words in the table."""


def _settings() -> dict[str, Described]:
    """Every setting, as the service that owns it describes it."""
    return {row.names[0]: row for cls in SETTINGS.values() for row in describe(load(cls, {}), {}, {})}


ALL: Final = _settings()
SECRET_FILES: Final = {name for cls in SETTINGS.values() for name in file_names(cls)}
EXAMPLE: Final = (ROOT / ".env.example").read_text()
README: Final = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ALL)
def test_the_example_file_has_it_with_its_aliases(name: str) -> None:
    found = re.search(rf"((?:^# [^\n]*\n)+)^# {name}=(.*)$", EXAMPLE, re.MULTILINE)
    assert found, f".env.example lacks {name}"
    for alias in ALL[name].names[1:]:
        assert f"Alias: {alias}" in found[1]
    if name not in OF_THIS_MACHINE and ALL[name].value != "-":
        assert found[2] == ALL[name].value, f".env.example has another default for {name}"


@pytest.mark.parametrize("name", ALL)
def test_the_readme_has_it_with_its_default(name: str) -> None:
    names = " = ".join(f"`{each}`" for each in ALL[name].names)
    row = re.search(rf"^\| {re.escape(names)} \|(.*?)\| (.+) \|$", README, re.MULTILINE)
    assert row, f"README's table lacks {names}"
    if name not in OF_THIS_MACHINE:
        assert row[1].strip(" `") == ALL[name].value.strip("-"), f"README has another default for {name}"


@pytest.mark.parametrize("name", sorted(SECRET_FILES))
def test_what_can_be_in_a_file_is_said(name: str) -> None:
    assert re.search(rf"^# .*\b{name}\b", EXAMPLE, re.MULTILINE)
    assert f"`{name}`" in README


def test_nothing_is_documented_that_does_not_exist() -> None:
    known = {name for row in ALL.values() for name in row.names} | SECRET_FILES
    for text in (EXAMPLE, README, (ROOT / "CONTRIBUTING.md").read_text()):
        assert set(re.findall(r"\bWEIR_[A-Z0-9_]*[A-Z0-9]\b", text)) <= known | {"WEIR_READY_FD"}


def test_the_example_file_uncommented_is_a_valid_configuration(tmp_path: Path) -> None:
    lines = re.findall(r"^# ([A-Z0-9_]+=.+)$", EXAMPLE, re.MULTILINE)
    file = tmp_path / ".env"
    file.write_text("\n".join(lines))
    for cls in SETTINGS.values():
        load(cls, {}, read_dotenv(file))


def test_every_path_the_documents_name_exists() -> None:
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text()
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / link).exists(), f"{document} links to {link}"


def test_make_help_lists_what_the_documents_promise() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        promised = set(re.findall(r"`make ([a-z-]+)", (ROOT / document).read_text()))
        assert promised <= targets, document

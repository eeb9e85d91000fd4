"""The data directory: made when missing, refused when it cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weir.cli.data_dir import locked
from weir.servicekit.run import StartError

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_made_and_can_be_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b").is_dir()


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    refused = pytest.raises(StartError, match="set WEIR_DATA_DIR to another folder")
    with locked(tmp_path), refused, locked(tmp_path):
        pass


def test_a_file_in_its_place_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")
    refused = pytest.raises(StartError, match=r"cannot write to the data directory .*; mend its permissions")
    with refused, locked(file):
        pass

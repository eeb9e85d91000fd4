"""A search that finds nothing has to be one that would have found it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.support.canary import Mark, files

if TYPE_CHECKING:
    from pathlib import Path

MARK = Mark("kAn4rY001122334455")
SECRET = MARK.canary("key")


@pytest.mark.parametrize("before", range(6))
def test_it_is_found_in_base64_at_every_alignment(before: int) -> None:
    written = b"x" * before + SECRET.encode() + b"yz"
    assert MARK.found_in(b"data " + base64.b64encode(written) + b" more")
    assert MARK.found_in(base64.urlsafe_b64encode(written))
    assert not MARK.found_in(base64.b64encode(written.replace(b"0011", b"0012")))


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        SECRET.upper(),
        SECRET[: len(MARK.text)],
        SECRET[-len(MARK.text) :],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        SECRET.replace("/", "\\/"),
    ],
)
def test_it_is_found_however_it_is_written(written: str) -> None:
    assert MARK.found_in(f"some {written} text".encode())
    assert "some " in (MARK.found_in(f"some {written} text".encode()) or "")


def test_nothing_else_is_found() -> None:
    assert MARK.found_in(b"some text " * 100) is None
    assert MARK.found_in(Mark.new().canary("key").encode()) is None


def test_all_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.db").write_bytes(b"1")
    (tmp_path / "d").write_bytes(b"2")
    assert dict(files(tmp_path)) == {"a/b/c.db": b"1", "d": b"2"}

"""Marked texts, and finding them again wherever and however they were written."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALIGNMENTS: Final = 3
_AROUND: Final = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that occurs nowhere else. Canaries begin and end with it, so that a part of one is found.

    It has letters and digits alone, which nothing escapes.
    """

    text: str

    @classmethod
    def new(cls) -> Mark:
        return cls(f"kAn4rY{secrets.token_hex(6)}")

    def canary(self, name: str) -> str:
        """A secret of this name, with characters that URLs, JSON and Base64 write differently."""
        return f"{self.text}~/+=.{name}.{self.text}"

    def found_in(self, data: bytes) -> str | None:
        """What is around the first place where it is written, in plain or in disguise; None if nowhere."""
        plain = self.text.encode()
        lower = data.lower()
        places = [lower.find(plain.lower()), lower.find(plain.hex().encode())]
        places += [data.find(each) for each in _base64(plain)]
        place = max(places)
        return None if place < 0 else repr(data[max(0, place - _AROUND) : place + _AROUND])


def _base64(plain: bytes) -> list[bytes]:
    """A text in Base64 at each alignment, without what is encoded together with its neighbours' bits."""
    found: list[bytes] = []
    for before in range(_ALIGNMENTS):
        encoded = base64.b64encode(b"\0" * before + plain)
        found.append(encoded[-(-before * 4 // 3) : (before + len(plain)) * 4 // 3])
    return found


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder; those that vanish meanwhile are left out."""
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder)), path.read_bytes()
        except FileNotFoundError:
            continue

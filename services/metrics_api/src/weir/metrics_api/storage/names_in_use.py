"""Which ids of strings requests refer to: a bit for each, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS_AT_ONCE: Final = 20_000
NAMES_AT_ONCE: Final = 5_000


class NamesInUse:
    """Of the ids up to `last`; later ones count as used."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._bits = bytearray(last // 8 + 1)

    def note(self, ids: Iterable[int | None]) -> None:
        for identifier in ids:
            if identifier is not None and identifier <= self._last:
                self._bits[identifier >> 3] |= 1 << (identifier & 7)

    def unused(self, ids: Iterable[int]) -> list[int]:
        return [
            identifier
            for identifier in ids
            if identifier <= self._last and not self._bits[identifier >> 3] >> (identifier & 7) & 1
        ]

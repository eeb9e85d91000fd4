"""All properties, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.fuzz import answers, bodies, requests, store

if TYPE_CHECKING:
    from tests.fuzz.part import Part

PARTS: Final[dict[str, Part]] = {
    **requests.PARTS,
    **answers.PARTS,
    **bodies.PARTS,
    **store.PARTS,
}

"""Every raw request of the corpus comes byte by byte, and gives what it gives when it comes whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.corpus import CASES
from tests.support.corpus.in_memory import run
from tests.support.proxy_in_memory import InMemoryProxy

if TYPE_CHECKING:
    from pathlib import Path

_MOST_PIECES = 3000
"""Longer requests come in pieces of more than a byte."""


async def test_a_byte_at_a_time(tmp_path: Path) -> None:
    proxy = InMemoryProxy(tmp_path, max_body_bytes=64 << 20)
    wrong: list[str] = []
    for case in CASES:
        step = 1 + len(case.raw) // _MOST_PIECES
        try:
            await run(case, proxy, [case.raw[at : at + step] for at in range(0, len(case.raw), step)])
        except AssertionError as error:
            wrong.append(f"{case.name}: {str(error)[:300]}")
    await proxy.close()
    assert not wrong, "\n".join(wrong)

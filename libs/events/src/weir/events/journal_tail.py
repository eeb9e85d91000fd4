"""The last records of a dead writer, for whoever has already heard of those before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from weir.events.journal import SEGMENT_MAGIC, segment_path
from weir.events.journal_adoption import segment_numbers
from weir.events.journal_frames import next_frame, whole_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ALL: Final = 1 << 62


def records_after(directory: Path, writer: str, sequence: int) -> Iterator[bytes]:
    """The payloads of the records with higher numbers, the last segment's first. Damaged places are skipped.

    Raises:
        OSError: a segment cannot be read.
    """
    for segment in reversed(segment_numbers(directory, writer)):
        data = segment_path(directory, writer, segment).read_bytes()
        at, first = len(SEGMENT_MAGIC), sequence + 1
        while at < len(data):
            payloads, numbers, used = whole_frames(data[at:], _ALL)
            for payload, number in zip(payloads, numbers, strict=True):
                if number > sequence:
                    yield payload
            first = min([first, *numbers])
            if not (step := used or next_frame(data[at:])):
                break
            at += step
        if first <= sequence:
            return

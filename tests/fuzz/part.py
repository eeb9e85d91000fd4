"""One property: bytes that are made, and what must be true of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """`check` raises if it does not hold of an example of `examples`."""

    examples: st.SearchStrategy[Any]
    check: Callable[[Any], None]
    short: int = 100
    """Examples in `make test`."""


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes], words: Sequence[bytes], most: int = 5) -> bytes:
    """A seed in which some places are replaced, left out, doubled or filled with a word."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, len(data)))
        end = min(at + draw(st.sampled_from((0, 0, 1, 1, 2, 8, 64))), len(data))
        word = draw(st.sampled_from(words) | st.binary(max_size=3))
        match draw(st.sampled_from(("word", "word", "double", "other"))):
            case "word":
                data = data[:at] + word + data[end:]
            case "double":
                data = data[:end] + data[at:]
            case _:
                data = data[:at] + draw(st.sampled_from(seeds))
    return data


cuts = st.lists(st.integers(0, 3000), max_size=6)
"""Where a network could cut it."""


def pieces(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The data cut at these places, counted from both ends in turn."""
    inside = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(inside)]

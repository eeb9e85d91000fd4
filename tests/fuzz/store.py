"""What is read back: the journal after any damage, records from the stream, filters and cursors of a URL."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from tests.fuzz.part import Part, mutated
from tests.support.builders import make_event

from weir.events import decode, encode
from weir.events.codec import UndecodableEventError
from weir.events.journal import JournalWriter, segment_path
from weir.events.journal_reader import JournalReader
from weir.metrics_api.reports.filter import (
    PARAMETERS,
    InvalidFilterError,
    matches,
    parse_filter,
)
from weir.metrics_api.reports.requests import (
    InvalidCursorError,
    _read_cursor,
    _write_cursor,
)
from weir.metrics_api.storage.port import Filter, Window

_RECORDS: Final = [b"record %d " % number * (1 + number % 7) for number in range(30)]


def _check_journal(example: tuple[list[tuple[int, bytes, int]], int]) -> None:
    """However a segment is damaged, what comes of it was written, in order, and nothing comes twice."""
    damages, cut = example
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        writer = JournalWriter(directory, "w1", max_bytes=1 << 20, segment_bytes=1 << 18)
        for record in _RECORDS:
            writer.append(record)
        writer.close()
        path = segment_path(directory, "w1", 1)
        data = path.read_bytes()
        for at, word, gone in damages:
            place = at % (len(data) + 1)
            data = data[:place] + word + data[place + gone :]
        path.write_bytes(data[: len(data) - cut] if cut < len(data) else b"")
        reader = JournalReader(directory, keep_seconds=0)
        reader.adopt("w1")
        seen: list[bytes] = []
        while batch := reader.read(7).payloads:
            seen += batch
        reader.close()
    expected = iter(_RECORDS)
    assert all(record in expected for record in seen), "what was never written, or in another order"
    if not damages and not cut:
        assert seen == _RECORDS


def _check_codec(data: bytes) -> None:
    try:
        event = decode(data)
    except UndecodableEventError:
        return
    assert decode(encode(event)) == event


def _check_filter(parameters: dict[str, str]) -> None:
    try:
        wanted = parse_filter(parameters)
    except InvalidFilterError:
        return
    matches(wanted, {"model": "m", "status_code": 404, "outcome": "completed"})


def _check_cursor(example: tuple[str, bool]) -> None:
    text, changed = example
    good = _write_cursor(Window(1_000_000, 2_000_000), 7, Filter())
    try:
        window, position = _read_cursor(good[: len(text)] + text if changed else text, Filter())
    except InvalidCursorError:
        return
    assert _write_cursor(window, position, Filter())


_EVENTS: Final = [
    encode(make_event()),
    b"{}",
    b'{"schema_version":99}',
    b"null",
    b"\0\1",
]
_words: Final = st.sampled_from([b"", b"\0", b"\xff" * 4, b"\x01\0\0\0", bytes(12)]) | st.binary(max_size=16)
_values: Final = st.text(max_size=12) | st.sampled_from(
    ["", ",", "4xx", "404", "all", "999", "x" * 2000, "a," * 30]
)

PARTS: Final = {
    "journal": Part(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 4000), _words, st.integers(0, 40)), max_size=5),
            st.integers(0, 60) | st.just(0),
        ),
        _check_journal,
        short=50,
    ),
    "codec": Part(
        mutated(
            _EVENTS,
            (
                b'"',
                b"{",
                b"}",
                b"null",
                b"1e400",
                b"-1",
                b"\xff",
                b"\\ud800",
                b'"outcome":"x"',
            ),
        ),
        _check_codec,
    ),
    "filters": Part(
        st.dictionaries(st.sampled_from([*PARAMETERS, "x"]), _values, max_size=4),
        _check_filter,
    ),
    "cursors": Part(
        st.tuples(
            st.text(max_size=60) | st.text("abcdefghijklmnopqrstuvwxyz0123456789_-=", max_size=60),
            st.booleans(),
        ),
        _check_cursor,
    ),
}

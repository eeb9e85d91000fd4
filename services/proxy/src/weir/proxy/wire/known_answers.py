"""Heads of answers whose form came before: a server writes the same headers in the same order each time.

The first head of a form was parsed by llhttp and passed every check of ours. Made of it is a pattern with the
same status line and the same names in the same order. What decides how the answer ends or is read must be the
same byte for byte, a length may be other digits, any other value other plain text. What matches means what
llhttp would have read; what does not match is given to llhttp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from weir.proxy.wire.framing import ResponseHead
from weir.proxy.wire.heads import goes_down

_MOST: Final = 4
_LONGEST: Final = 8 << 10
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length"
_SAME: Final = frozenset({b"content-type", b"transfer-encoding", b"connection", b"keep-alive"})
"""Whose values decide."""
_NEVER: Final = frozenset({b"content-encoding", b"upgrade", b"trailer"})
"""Answers with these are rare, and something is done about them."""
_IDS: Final = (b"x-request-id", b"request-id")
_VALUE: Final = rb"[ -~]*"


class _Form(msgspec.Struct, frozen=True):
    """What all heads of one form have in common."""

    match: Callable[[bytes], re.Match[bytes] | None]
    status: int
    reason: bytes
    fields: dict[bytes, bytes]
    """Of the headers that are the same in each."""
    chunked: bool
    kept: tuple[int, ...]
    """Groups of the pattern: what goes down to the client, one behind the other."""
    id: int
    """The group of the upstream's name for the request; 0 if there is none."""
    length: int
    """The group of the body's length; 0 if the body comes in chunks."""


class KnownAnswers:
    """The forms that one upstream's answers have; a few."""

    def __init__(self) -> None:
        self._forms: list[_Form] = []

    def __repr__(self) -> str:
        return f"<KnownAnswers {len(self._forms)}>"

    def find(self, data: bytes) -> tuple[ResponseHead, int] | None:
        """The head with which `data` begins and where it ends; None if not whole, or of no known form."""
        for form in self._forms:
            found = form.match(data)
            if found is None:
                continue
            end = found.end()
            if end > _LONGEST:
                return None
            head = ResponseHead(
                form.status,
                form.reason,
                [],
                form.fields,
                "chunked" if form.chunked else "length",
                None if form.chunked else int(found[form.length]),
                found[form.id] or None if form.id else None,
                found[1] if len(form.kept) == 1 else b"".join(found.group(*form.kept)),
            )
            return head, end
        return None

    def learn(self, data: bytes, head: ResponseHead) -> None:
        """Remember the form of the head with which `data` begins, if it is one of the plain kind."""
        end = data.find(_END, 0, _LONGEST)
        if end < 0 or head.framing not in {"length", "chunked"} or _NEVER & head.fields.keys():
            return
        if head.fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
            return
        form = _form(data[:end], head)
        if form is not None:
            self._forms = [form, *self._forms[: _MOST - 1]]


def _form(raw: bytes, head: ResponseHead) -> _Form | None:
    """The form of a head, whose bytes up to the empty line are `raw`; None where it is written oddly."""
    first, *lines = raw.split(b"\r\n")
    if first != b"HTTP/1.1 %d %b" % (head.status, head.reason) or len(lines) != len(head.headers):
        return None
    if sum(lower in _IDS for lower, _, _ in head.headers) > 1:
        return None
    pattern = b"(?P<kept0>" + re.escape(first) + b"\r\n"
    runs, is_open = 1, True
    fields: dict[bytes, bytes] = {}
    for line, (lower, name, value) in zip(lines, head.headers, strict=True):
        if line != b"%b: %b" % (name, value):
            return None
        kept = goes_down(lower)
        if is_open and not kept:
            pattern += b")"
        elif kept and not is_open:
            pattern += b"(?P<kept%d>" % runs
            runs += 1
        is_open = kept
        pattern += re.escape(name) + b": " + _value(lower, value) + b"\r\n"
        if lower in _SAME:
            fields[lower] = value
    made = re.compile(pattern + (b")" if is_open else b"") + b"\r\n")
    groups = made.groupindex
    return _Form(
        match=made.match,
        status=head.status,
        reason=head.reason,
        fields=fields,
        chunked=head.framing == "chunked",
        kept=tuple(groups[f"kept{run}"] for run in range(runs)),
        id=groups.get("id", 0),
        length=groups.get("length", 0),
    )


def _value(lower: bytes, value: bytes) -> bytes:
    if lower == _LENGTH:
        return b"(?P<length>[0-9]{1,18})"
    if lower in _IDS:
        return b"(?P<id>[!-~]*)"
    return re.escape(value) if lower in _SAME else _VALUE

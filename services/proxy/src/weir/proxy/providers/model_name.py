"""Another name for the model in a request's body, every other byte as it was."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Final

import msgspec

from weir.proxy.providers.form import fields

_PLACES: Final = {
    key: re.compile(rb'"%b"\s*:\s*("(?:[^"\\]|\\.)*")' % key.encode()) for key in ("model", "name")
}
_MOST_PLACES: Final = 8
"""How many places are tried: each costs reading the body once more."""


class _Named(msgspec.Struct):
    model: Any = None
    name: Any = None


_decoder: Final = msgspec.json.Decoder(_Named)
_members_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def rename_in_json(body: bytes, new: str) -> bytes:
    """The JSON body with its top-level `model` renamed, or `name` where Ollama has that.

    Bytes alone do not say at which depth a name stands, so each place is tried until the body, read anew,
    has the new name. Where no place is found soon, as with an escaped key or among many decoys, the members
    are written anew, each value with its bytes.
    """
    encoded = msgspec.json.encode(new)
    try:
        key = "model" if _decoder.decode(body).model else "name"
        for match in islice(_PLACES[key].finditer(body), _MOST_PLACES):
            renamed = body[: match.start(1)] + encoded + body[match.end(1) :]
            if getattr(_decoder.decode(renamed), key) == new:
                return renamed
        members = _members_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body  # not JSON in every part; what it means is the upstream's business
    members[key] = msgspec.Raw(encoded)
    return msgspec.json.encode(members)


def rename_in_form(body: bytes, new: str) -> bytes:
    """The multipart body with its `model` field renamed."""
    for name, start, end in fields(body):
        if name == b"model":
            return body[:start] + new.encode() + body[end:]
    return body

"""What of an upstream's words about an error may be kept: nothing that it repeats of what it was sent.

Upstreams quote. OpenAI repeats the key that it refuses, vLLM the message that failed its validation. Records
are kept for long and read by others, so a key or a part of a prompt must not be in them.
"""

from __future__ import annotations

import re
from typing import Final

from weir.events.request_event import MAX_ERROR_MESSAGE

HIDDEN: Final = "***"
MOST_COMPARED: Final = 512 << 10
"""Bytes of a request. Of the answer to a larger one nothing is kept: comparing would take too long."""
NOT_COMPARED: Final = (
    "The upstream's words are not kept: there is no request left to look for its parts in them."
)
_BLOCK: Final = 6
SHORTEST: Final = 3 * _BLOCK - 1
"""So many characters that a message and a request share are surely hidden: two blocks of the request are in
them, wherever they begin. Shorter pieces are words of the language."""
_LONGEST: Final = 4 * MAX_ERROR_MESSAGE
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_SECRET: Final = re.compile(r"(?i)\b(bearer\s+)\S+|\b(sk-|pk-|rk-|hf_|gsk_|xai-)[\w*.-]{4,}")
_QUOTED: Final = re.compile(r"(?<!\w)(['\"`])((?:(?!\1).)+)\1(?!\w)")
_NAME: Final = re.compile(r"[\w.:/@\[\]-]{1,64}")
"""What stands in quotes and is no more than this is a parameter's or a model's name."""
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def redacted(message: str | None, sent: bytes | None = b"", known: tuple[str | None, ...] = ()) -> str | None:
    """An error text that is safe to keep: without keys, parts of the request, control characters; bounded.

    `sent`: the request as it went to the upstream whose words these are, None if it is held no longer;
    `known`: texts of it that are kept elsewhere, such as the model's name.
    """
    if not message:
        return None
    if sent is None or len(sent) > MOST_COMPARED:
        return NOT_COMPARED
    text = _SECRET.sub(lambda match: f"{match[1] or match[2]}{HIDDEN}", message[:_LONGEST])
    if sent:
        text = _without(text, _plain(sent), known)
    return _CONTROL.sub(" ", _QUOTED.sub(_quoted, text))[:MAX_ERROR_MESSAGE]


def _without(message: str, sent: str, known: tuple[str | None, ...]) -> str:
    """The message with everything hidden that it shares with what was sent, in time linear in both."""
    for name in known:
        if name:
            sent = sent.replace(name, "\0")
    blocks = {sent[place : place + _BLOCK] for place in range(0, len(sent), _BLOCK)}
    hidden = bytearray(len(message))
    for place in range(len(message) - 2 * _BLOCK + 1):
        next_place, end = place + _BLOCK, place + 2 * _BLOCK
        if message[place:next_place] in blocks and message[next_place:end] in blocks:
            for each in range(max(0, place - _BLOCK + 1), min(len(message), end + _BLOCK - 1)):
                hidden[each] = True  # with its edges, which are parts of blocks
    return "".join(
        HIDDEN if hidden[place] and not (place and hidden[place - 1]) else "" if hidden[place] else character
        for place, character in enumerate(message)
    )


def _plain(sent: bytes) -> str:
    """As the upstream read it: text, without the escapes of JSON."""
    text = sent.decode(errors="replace")
    if "\\" not in text:
        return text
    halves = _ESCAPE.sub(_unescaped, text).encode("utf-16", "surrogatepass")
    return halves.decode("utf-16", "replace")


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _ESCAPED.get(match[2], match[2])


def _quoted(match: re.Match[str]) -> str:
    """A name in its quotes; of anything else the quotes alone. Upstreams quote their own answers, too."""
    quote = match[1]
    return match[0] if _NAME.fullmatch(match[2]) or match[2] == HIDDEN else f"{quote}{HIDDEN}{quote}"

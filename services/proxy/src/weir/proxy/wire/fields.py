"""Header lines as bytes: whitelists of what may stand in them.

Stricter than RFC 9112 where it leaves readers a choice: lines end with CR LF and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from weir.proxy.wire import refusals

if TYPE_CHECKING:
    from weir.proxy.wire.framing import Headers

EOL: Final = b"\r\n"
END: Final = b"\r\n\r\n"
_NEVER: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)|(?<!\r)\n")
"""Control characters, and a CR or LF without the other."""
# Possessive, and each part ends where the next begins: nothing that a client sends makes them go back.
_FIELD: Final = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):([^\x00-\x08\x0a-\x1f\x7f]*+)\r\n"
_ONE_FIELD: Final = re.compile(_FIELD)
_FIELDS: Final = re.compile(rb"(?:%b)*+" % _FIELD)
_WHITE: Final = b" \t"


def read_fields(lines: bytes) -> Headers:
    """The header fields in these lines, of which each has its end; white space around values left out.

    Raises:
        BadRequestError: they are more, or something else, than header fields.
    """
    if _FIELDS.fullmatch(lines) is None:
        raise refusals.malformed("The request's headers are not well-formed.")
    return [(name.lower(), name, value.strip(_WHITE)) for name, value in _ONE_FIELD.findall(lines)]


def check_begun(held: bytes | bytearray, since: int) -> None:
    """Lines are not complete yet; refuse what could never become right, so that nobody waits for it.

    `since`: up to there they were looked at before.

    Raises:
        BadRequestError: a character that may stand nowhere.
    """
    if _NEVER.search(held, max(since - 1, 0)) is not None:
        raise refusals.malformed("The request is not well-formed HTTP.")

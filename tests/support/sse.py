"""Server-sent events as a browser reads them (the WHATWG rules), for whole bodies."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def events(body: bytes) -> list[bytes]:
    """The data of each complete event; an unfinished one at the end does not count."""
    found: list[bytes] = []
    data: list[bytes] = []
    for line in _LINE_END.split(body)[:-1]:
        name, _, value = line.partition(b":")
        if not line:
            if data:
                found.append(b"\n".join(data))
            data = []
        elif name == b"data":
            data.append(value.removeprefix(b" "))
    return found


def objects(body: bytes) -> list[dict[str, Any]]:
    """The events as JSON, without `[DONE]`."""
    return [json.loads(event) for event in events(body) if event != b"[DONE]"]

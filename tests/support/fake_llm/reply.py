"""What a request asks of the fake, and what a well-behaved server would say to it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fake_llm.script import Script

Headers = tuple[tuple[str, str], ...]

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream; charset=utf-8"
OPENAI_HEADERS: Final[Headers] = (
    ("x-request-id", "req_upstream_1"),
    ("openai-processing-ms", "17"),
    ("X-RateLimit-Remaining-Requests", "99"),
)
_FIELD: Final = re.compile(rb'; name="([^"]+)"\r\n\r\n([^\r\n]*)\r\n')


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the families read it."""

    path: str
    fields: dict[str, Any]
    """Of a JSON object, or of a form, whose values are texts."""
    model: str
    script: Script

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self.fields.get(name, default) in {True, "true"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer, whole and in pieces, and how it would fail. Manners decide what of it is sent."""

    plain: bytes
    error: Callable[[str, str, str | None], bytes]
    """Message, type and code to the body of an error as the family words it."""
    headers: Headers = OPENAI_HEADERS
    """What the vendor sends with every answer."""
    plain_type: str = JSON
    streams: bool = False
    """Whether this request asked for a stream, by the family's rule."""
    stream_type: str = EVENTS
    events: tuple[bytes, ...] = ()
    """What is streamed, without what ends it."""
    end: bytes = b""
    """The event that tells the client that the stream is whole."""
    failure: tuple[bytes, ...] = ()
    """What is streamed in place of the rest when the model dies."""
    failed: bytes = b""
    """The event of an answer that ends as a failure, where the family has that."""


def form_fields(body: bytes) -> dict[str, Any]:
    """The fields of a multipart form that have no file name."""
    return {name.decode(): value.decode(errors="replace") for name, value in _FIELD.findall(body)}


def compact(value: object) -> bytes:
    """JSON as most servers stream it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def indented(value: object) -> bytes:
    """JSON as OpenAI sends what is not streamed."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def event(value: object, name: str | None = None, padding: bytes = b"") -> bytes:
    """A server-sent event. Anthropic pads its data with spaces."""
    named = b"" if name is None else b"event: " + name.encode() + b"\n"
    return named + b"data: " + compact(value) + padding + b"\n\n"


def typed_event(value: dict[str, Any], padding: bytes = b"") -> bytes:
    """A server-sent event that is called what its `type` says."""
    return event(value, value["type"], padding)

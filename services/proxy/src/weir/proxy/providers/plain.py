"""Answers that are not read for usage: errors, of which type and message are kept, and listings."""

from __future__ import annotations

from typing import Any, Final, cast

from weir.proxy.exchange import AnswerFacts
from weir.proxy.providers.json_bytes import json_object, text

_KEPT: Final = 16 << 10


class ErrorReader:
    """Reads an answer with a status of 400 or more, in OpenAI's error shape or close to it."""

    def __init__(self) -> None:
        self.facts = AnswerFacts()
        self.between_events = False
        self._kept = b""

    def feed(self, data: bytes, now: float) -> bytes:  # noqa: ARG002 - the port's signature
        if len(self._kept) < _KEPT:
            self._kept += data[:_KEPT]
        return data

    def finish(self) -> bytes:
        self.facts.error_type, self.facts.error_message = read_error(json_object(self._kept))
        return b""

    def abandon(self) -> None:
        self.finish()


class PassingReader:
    """Reads nothing, so it cannot tell where an event ends."""

    def __init__(self) -> None:
        self.facts = AnswerFacts()
        self.between_events = False

    def feed(self, data: bytes, now: float) -> bytes:  # noqa: ARG002 - the port's signature
        return data

    def finish(self) -> bytes:
        return b""

    def abandon(self) -> None:
        pass


def read_error(document: dict[str, Any]) -> tuple[str | None, str | None]:
    """Type and message of an error document."""
    error = document.get("error", document)
    if not isinstance(error, dict):
        return None, text(error)
    fields = cast("dict[str, Any]", error)
    return (
        text(fields.get("code")) or text(fields.get("type")),
        text(fields.get("message")) or text(fields.get("detail")),
    )

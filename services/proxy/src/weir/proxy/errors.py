"""What the proxy itself answers when it does not relay: status, OpenAI's error shape, and the outcome."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from weir.events import Outcome

INVALID_REQUEST: Final = "invalid_request_error"
UPSTREAM: Final = "upstream_error"
OURS: Final = "weir_error"
KEPT_CONNECTION_CLOSED: Final = "kept connection was closed"
"""The error of an attempt that is made again on another connection."""


class ProxyError(Exception):
    """An answer of our own. `code` is stable; `outcome` is what the record says, if there is one."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        outcome: Outcome,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.outcome = outcome
        self.headers = headers

    @property
    def type(self) -> str:
        """OpenAI's `error.type`: whose fault it was."""
        if self.status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}:
            return UPSTREAM
        ours = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}
        return OURS if self.status in ours else INVALID_REQUEST

    def body(self) -> bytes:
        """The error as OpenAI's clients read it."""
        return msgspec.json.encode(
            {"error": {"message": self.message, "type": self.type, "param": None, "code": self.code}}
        )


def rejected(status: HTTPStatus, code: str, message: str, *headers: tuple[bytes, bytes]) -> ProxyError:
    """We refuse the request before any upstream saw it."""
    return ProxyError(status, code, message, outcome=Outcome.REJECTED, headers=headers)


def upstream_failed(code: str, message: str) -> ProxyError:
    """The upstream could not be used."""
    return ProxyError(HTTPStatus.BAD_GATEWAY, code, message, outcome=Outcome.UPSTREAM_ERROR)


def upstream_timed_out(message: str) -> ProxyError:
    """The upstream took longer than one of our time limits."""
    return ProxyError(HTTPStatus.GATEWAY_TIMEOUT, "upstream_timeout", message, outcome=Outcome.TIMEOUT)


def internal_error() -> ProxyError:
    """Something of ours that nobody foresaw."""
    return ProxyError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The proxy failed on this request. Its log says why.",
        outcome=Outcome.INTERNAL_ERROR,
    )

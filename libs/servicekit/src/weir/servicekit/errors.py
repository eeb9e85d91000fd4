"""Errors of the internal HTTP doors: `application/problem+json` (RFC 9457) with a stable `code`."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler

logger = logging.getLogger(__name__)


class ProblemError(Exception):
    """An answer that is an error: `detail` says what is wrong and how to mend it."""

    def __init__(
        self, status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.headers = headers
        self.status = status
        self.code = code
        self.detail = detail


def problem(
    status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The problem document as a response."""
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
    }
    return web.Response(
        status=status.value,
        body=orjson.dumps(body),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error of a handler into a problem document; what was not foreseen is logged, not shown."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem(error.status, error.code, error.detail, error.headers)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        status = HTTPStatus(error.status)
        allow = error.headers.get("Allow")
        detail = {
            HTTPStatus.NOT_FOUND: f"There is nothing at {request.path}.",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.path} does not take {request.method}.",
        }.get(status, status.description or status.phrase)
        return problem(
            status, status.phrase.lower().replace(" ", "_"), detail, {"Allow": allow} if allow else None
        )
    except Exception as error:
        if _client_left(request, error):
            return web.Response()
        logger.exception("unforeseen error", extra={"method": request.method, "path": request.path})
        if request.transport is not None and request.writer.output_size > 0:
            request.transport.abort()  # the answer has begun: a second head inside it would be a lie
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something unforeseen happened; the log has it.",
        )


def _client_left(request: web.Request, error: Exception) -> bool:
    """Whether writing failed because nobody reads any more: not our error, and nobody to answer."""
    gone = request.transport is None or request.transport.is_closing()
    return gone and isinstance(error, ConnectionError)

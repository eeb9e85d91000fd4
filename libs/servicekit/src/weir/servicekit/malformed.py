"""What is not HTTP gets a short answer: nothing of it is echoed, and nothing of it is logged.

aiohttp by itself answers a malformed message with the offending line, and logs it with a trace;
such a line may be a header with a key in it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)

_ANSWER: Final = "This is not an HTTP request that is understood here.\n"


class GuardedRunner(web.AppRunner):
    """An AppRunner whose answer to a malformed message tells nothing of the message."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        options = cast("dict[str, Any]", server._kwargs)  # noqa: SLF001  # pyright: ignore  -- no public way
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            **options,
        )


class _Server(web.Server):
    _loop: asyncio.AbstractEventLoop
    _kwargs: dict[str, Any]

    def __call__(self) -> web.RequestHandler:
        return _RequestHandler(self, loop=self._loop, **self._kwargs)


class _RequestHandler(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        logger.debug("malformed message", extra={"peer": request.remote, "kind": type(exc).__name__})
        response = web.Response(status=status, text=_ANSWER)
        response.headers[hdrs.SERVER] = "weir"
        response.force_close()
        return response

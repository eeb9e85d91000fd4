"""What is not HTTP gets a short answer: nothing of it is echoed, and nothing of it is logged.

aiohttp by itself answers a malformed message with the offending line, and logs it with a trace;
such a line may be a header with a key in it. It also takes what others read in another way: a list of
transfer codings, chunks in HTTP/1.0, versions that there are not, and targets that name another host.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    import asyncio

    from aiohttp.http import RawRequestMessage

logger = logging.getLogger(__name__)

_VERSIONS: Final = (HttpVersion10, HttpVersion11)
_REFUSED: Final = web.RequestKey("refused", HTTPStatus)
_ANSWER: Final = "This is not an HTTP request that is understood here.\n"


class GuardedRunner(web.AppRunner):
    """An AppRunner whose answer to a malformed message tells nothing of the message."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        options = cast("dict[str, Any]", server._kwargs)  # noqa: SLF001  # pyright: ignore  -- no public way
        make: Any = server.request_factory
        handle: Any = server.request_handler

        def make_judged(message: RawRequestMessage, *args: Any) -> web.BaseRequest:
            """The request, marked if it is refused; the answer's version is never one that there is not."""
            status = _refusal(message)
            if message.version not in _VERSIONS:
                message = cast("Any", message)._replace(version=HttpVersion10)
            request: web.BaseRequest = make(message, *args)
            if status is not None:
                request[_REFUSED] = status
            return request

        async def handle_judged(request: web.BaseRequest) -> web.StreamResponse:
            status = request.get(_REFUSED)
            if status is None:
                return await handle(request)
            response = _refused(status)
            await response.prepare(request)
            await response.write_eof()
            if request.transport is not None:
                request.transport.close()  # what follows is not waited for, and never read
            return response

        return _Server(
            cast("Any", handle_judged),
            request_factory=cast("Any", make_judged),
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
        return _refused(status)


def _refusal(message: RawRequestMessage) -> HTTPStatus | None:
    """Why aiohttp's parser should not have let a message pass; None if it is well."""
    if message.version not in _VERSIONS:
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    # Of a message that the parser refused itself the headers are a plain dict, and empty.
    codings = message.headers.getall(hdrs.TRANSFER_ENCODING, ()) if message.headers else ()
    if codings and (message.version != HttpVersion11 or [*map(str.lower, codings)] != ["chunked"]):
        return HTTPStatus.BAD_REQUEST
    if not message.path.startswith("/") and (message.method, message.path) != (hdrs.METH_OPTIONS, "*"):
        return HTTPStatus.BAD_REQUEST
    return None


def _refused(status: int) -> web.Response:
    response = web.Response(status=status, text=_ANSWER)
    response.headers[hdrs.SERVER] = "weir"
    response.force_close()
    return response

"""Errors from below as problem documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from weir.metrics_api.problems import problem_of

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler


@web.middleware
async def translate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of reports, storage and hub become what the client is told."""
    try:
        return await handler(request)
    except Exception as error:
        problem = problem_of(error)
        if problem is None or problem is error:
            raise
        raise problem from error

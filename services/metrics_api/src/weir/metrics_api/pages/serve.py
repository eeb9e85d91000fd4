"""`/api/docs` and the page of `/graphql`, from the files beside this one."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from aiohttp import web

from weir.servicekit.errors import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
FILES: Final = frozenset({"api.html", "api.js", "graphql.html", "graphql.js", "page.css", "elements.js"})


@cache
def _read(name: str) -> bytes:
    return files("weir.metrics_api.pages").joinpath("files", name).read_bytes()


def page(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that answers with one of the files."""

    async def handler(_request: web.Request) -> web.Response:
        return _file(name)

    return handler


async def get_file(request: web.Request) -> web.Response:
    """What the pages load."""
    name = request.match_info["name"]
    if name not in FILES:
        raise ProblemError(HTTPStatus.NOT_FOUND, "not_found", "There is no such file.")
    return _file(name)


def _file(name: str) -> web.Response:
    kind = _TYPES[name.rpartition(".")[2]]
    return web.Response(body=_read(name), content_type=kind, charset="utf-8", headers=_HEADERS)

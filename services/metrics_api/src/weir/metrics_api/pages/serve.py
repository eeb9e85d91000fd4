"""`/api/docs` and the page of `/graphql`: files beside this one, and GraphiQL built by `tools/graphiql`."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs, web

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
_HERE: Final = Path(__file__).parent
FILES: Final = frozenset(
    {"api.html", "api.js", "graphql.html", "graphql-not-built.html", "page.css", "elements.js"}
)
GRAPHIQL: Final = frozenset({"graphiql.js", "graphiql.css"})
GRAPHIQL_FOLDER: Final = _HERE / "graphiql"


def page(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that answers with one of the files."""

    async def handler(_request: web.Request) -> web.StreamResponse:
        return _own(name)

    return handler


def graphql_page(graphiql: Path = GRAPHIQL_FOLDER) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that answers with GraphiQL, or with how to build it."""

    async def handler(_request: web.Request) -> web.StreamResponse:
        if all((graphiql / name).is_file() for name in GRAPHIQL):
            return _own("graphql.html")
        return _own("graphql-not-built.html", HTTPStatus.SERVICE_UNAVAILABLE)

    return handler


async def get_file(request: web.Request) -> web.StreamResponse:
    """What the pages load."""
    name = request.match_info["name"]
    if name in FILES:
        return _own(name)
    if name in GRAPHIQL and (GRAPHIQL_FOLDER / name).is_file():
        headers = {
            **_HEADERS,
            hdrs.CONTENT_TYPE: f"{_type(name)}; charset=utf-8",
            hdrs.VARY: "Accept-Encoding",
        }
        return web.FileResponse(GRAPHIQL_FOLDER / name, headers=headers)  # with the .gz beside it
    raise ProblemError(HTTPStatus.NOT_FOUND, "not_found", "There is no such file.")


def _own(name: str, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(
        status=status, body=_read(name), content_type=_type(name), charset="utf-8", headers=_HEADERS
    )


@cache
def _read(name: str) -> bytes:
    return (_HERE / "files" / name).read_bytes()


def _type(name: str) -> str:
    return _TYPES[name.rpartition(".")[2]]

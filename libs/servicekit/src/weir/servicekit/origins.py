"""Which web pages may call a server from a browser: its own, and those of origins the operator names.

Protocols: WHATWG Fetch, "CORS protocol", and Fetch Metadata (`Sec-Fetch-Site`). No credentials are allowed.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from pydantic import AfterValidator

from weir.servicekit.errors import ProblemError
from weir.servicekit.values import Names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler, Middleware

ANY: Final = "*"
MAX_AGE_SECONDS: Final = 600
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_ORIGIN: Final = re.compile(r"https?://[a-z0-9_.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")
_JSON: Final = re.compile(r"application/([a-z0-9.-]+\+)?json")


def _origins(names: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(name.rstrip("/").lower() for name in names)
    for origin in found:
        if origin != ANY and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin!r} is not an origin; write scheme and host, such as https://app.example.com"
            )
    return found


Origins = Annotated[Names, AfterValidator(_origins)]
"""Web origins separated by commas; `*` for all."""


class Cors:
    """Answers for pages of the origins that are allowed; without origins it does nothing."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def allows(self, origin: str | None) -> bool:
        return origin is not None and (ANY in self._origins or origin.lower() in self._origins)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """To be called when an answer is prepared, so that streams have the headers too."""
        if not self._origins:
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not self.allows(origin):
            return
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = ANY if ANY in self._origins else origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.RETRY_AFTER

    def middleware(self) -> Middleware:
        """Middleware that answers preflight requests from allowed origins."""

        @web.middleware
        async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
            method = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
            if (
                request.method != hdrs.METH_OPTIONS
                or method is None
                or not self.allows(request.headers.get(hdrs.ORIGIN))
            ):
                return await handler(request)
            return web.Response(
                status=HTTPStatus.NO_CONTENT,
                headers={
                    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST",
                    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Content-Type, Last-Event-ID",
                    hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_SECONDS),
                },
            )

        return preflight


def guard_changes(cors: Cors, *, json_only: bool) -> Middleware:
    """Middleware that refuses what another site's page could make a browser send (CSRF).

    Everything but GET, HEAD and OPTIONS must come from a page of this server or of an allowed origin, or from
    no page at all; with `json_only` it must be JSON, which no form can send.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        leads_nowhere = request.match_info.http_exception is not None  # 404 or 405 says more
        if request.method in _SAFE_METHODS or leads_nowhere:
            return await handler(request)
        if not (_is_own(request) or cors.allows(request.headers.get(hdrs.ORIGIN))):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "cross_site",
                "A page of another site may not do this; call it from the dashboard, or without a browser.",
            )
        if json_only and not _JSON.fullmatch(request.content_type):
            raise ProblemError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send JSON, with the header Content-Type: application/json.",
            )
        return await handler(request)

    return check


def _is_own(request: web.Request) -> bool:
    """Whether no page sent it, or one of ours.

    Browsers say so in `Sec-Fetch-Site`, except where the address is neither https nor local; then `Origin` is
    compared with the host that was asked for. `X-Forwarded-Host` counts as well: no page can set it without
    being allowed to by a preflight.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN_SITES
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return True
    parts = urlsplit(origin)
    hosts = (*request.headers.getall(hdrs.HOST, []), *request.headers.getall(hdrs.X_FORWARDED_HOST, []))
    return any(_with_port(parts.netloc, parts.scheme) == _with_port(host, parts.scheme) for host in hosts)


def _with_port(host: str, scheme: str) -> str:
    has_port = ":" in host.rpartition("]")[2]
    return (host if has_port else f"{host}:{_DEFAULT_PORTS.get(scheme, '')}").lower()

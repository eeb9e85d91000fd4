"""The single-page application: its files, and `index.html` for every address that is one of its pages."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from aiohttp import web

from weir.dashboard.pages import page, wants_page
from weir.servicekit.errors import ProblemError, problem

if TYPE_CHECKING:
    from pathlib import Path

HASHED: Final = "assets"
"""The folder of the build whose files carry a hash of their content in their names."""
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"


class Spa:
    """Serves the folder of a built SPA. Nothing outside of it can be reached."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    @property
    def is_built(self) -> bool:
        return self._index.is_file()

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.method not in {"GET", "HEAD"}:
            raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"))
        file = await asyncio.to_thread(self.find, request.rel_url.raw_path)
        if file is None:
            return self._not_built(request)
        cache = _FOREVER if self._is_hashed(file) else _ASK_AGAIN
        return web.FileResponse(file, headers={"Cache-Control": cache, "Vary": "Accept-Encoding"})

    def find(self, raw_path: str) -> Path | None:
        """The file to answer with, or None when the SPA is not built.

        Raises:
            ProblemError: a hashed file that this build does not have. `index.html` would be
                worse than nothing there: the browser asks for a script or a style.
        """
        names = [name for name in unquote(raw_path).split("/") if name]
        file = self._file(names)
        if file is not None:
            return file
        if not self.is_built:
            return None
        if names[:1] == [HASHED]:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "not_found",
                "This file is not part of the dashboard that is served now; reload the page.",
            )
        return self._index

    @property
    def _index(self) -> Path:
        return self._folder / "index.html"

    def _file(self, names: list[str]) -> Path | None:
        if not names or any(name.startswith(".") or "\0" in name or "\\" in name for name in names):
            return None
        try:
            file = self._folder.joinpath(*names).resolve()
            inside = file.is_relative_to(self._folder) and file.is_file()
        except OSError:  # a name longer than the file system allows
            return None
        return file if inside else None

    def _is_hashed(self, file: Path) -> bool:
        return file.is_relative_to(self._folder / HASHED)

    def _not_built(self, request: web.Request) -> web.Response:
        title = "The dashboard is not built"
        where = f"There is no index.html in `{self._folder}`."
        fix = "Build it with `make run`, or with `npm install && npm run build` in `frontend`."
        if wants_page(request):
            return page(HTTPStatus.SERVICE_UNAVAILABLE, title, where, fix, retry_seconds=5)
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "spa_not_built", f"{title}. {where} {fix}".replace("`", "")
        )

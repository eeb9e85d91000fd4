"""The way to the metrics API: a reverse proxy that holds nothing back, neither bytes nor a departure."""

from __future__ import annotations

import asyncio
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from weir.dashboard.unavailable import Absence, unavailable
from weir.servicekit.errors import ProblemError
from weir.servicekit.health import Check
from weir.servicekit.passthrough import end_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
"""Until the head of an answer must be there: a little more than the slowest query may take."""
IDLE_SECONDS: Final = 30.0
"""The longest silence inside an answer that is not an event stream."""
CONNECTIONS: Final = 2_000

_RELAYED: Final = re.compile(r"/api(/.*)?|/graphql")
_AMBIGUOUS: Final = re.compile(r"//|[\\\x00-\x20\x7f]|%2f|%5c|%00|(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)
_NOT_SENT_UP: Final = frozenset(
    {"host", "expect", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"}
)
_NOT_SENT_DOWN: Final = frozenset({"server"})
_LEFT_AS_THEY_ARE: Final = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


def is_relayed(raw_path: str) -> bool:
    """Whether a path belongs to the metrics API.

    Raises:
        ProblemError: it begins like one but could mean another path there.
    """
    if _RELAYED.fullmatch(raw_path) is None:
        return False
    if _AMBIGUOUS.search(raw_path):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            "invalid_path",
            "The path is ambiguous; write it without dot segments, double slashes and encoded slashes.",
        )
    return True


class Backend:
    """One metrics API. Lives as long as the session it is given."""

    def __init__(self, url: str, session: aiohttp.ClientSession, max_body: int) -> None:
        self._url = url
        self._session = session
        self._max_body = max_body
        self._streams: set[aiohttp.ClientResponse] = set()
        self._is_away = False

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """Send a request on and hand its answer back as it comes."""
        upload = Upload(request, self._max_body)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._session.request(
                    request.method,
                    URL(f"{self._url}{request.rel_url.raw_path_qs}", encoded=True),
                    headers=_headers_up(request),
                    data=upload if request.can_read_body else None,
                    skip_auto_headers=_LEFT_AS_THEY_ARE,
                    allow_redirects=False,
                )
        except TimeoutError:
            return self._unavailable(request, Absence.SILENT, f"no answer within {ANSWER_SECONDS:g} s")
        except aiohttp.ClientError as error:
            upload.check_size()
            return self._unavailable(request, Absence.UNREACHABLE, str(error))
        self._note_presence()
        async with answer:
            return await self._hand_back(request, answer)

    async def check(self) -> Check:
        """Whether the metrics API answers. The dashboard can show its pages without it."""
        try:
            async with self._session.get(f"{self._url}/healthz") as answer:
                ok = answer.status == HTTPStatus.OK
                return Check(ok=ok, detail=f"answers {answer.status}", essential=False)
        except aiohttp.ClientError as error:
            return Check(ok=False, detail=str(error), essential=False)

    def end_streams(self) -> None:
        """Let go of the event streams, which would never end by themselves."""
        for answer in tuple(self._streams):
            answer.close()

    async def _hand_back(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in end_to_end(answer.headers.items()):
            if name.lower() not in _NOT_SENT_DOWN:
                response.headers.add(name, value)
        await response.prepare(request)
        is_stream = answer.content_type == "text/event-stream"
        if is_stream:
            self._streams.add(answer)
        try:
            async for data in _pieces(answer.content, None if is_stream else IDLE_SECONDS):
                await response.write(data)
        except (aiohttp.ClientError, TimeoutError) as error:
            if not is_stream:
                logger.warning("an answer broke off", extra={"path": request.path, "reason": repr(error)})
            _break_off(request)
        finally:
            self._streams.discard(answer)
        return response

    def _unavailable(self, request: web.Request, absence: Absence, reason: str) -> web.Response:
        if not self._is_away:
            self._is_away = True
            logger.warning("backend is away", extra={"backend_url": self._url, "reason": reason})
        return unavailable(request, self._url, absence)

    def _note_presence(self) -> None:
        if self._is_away:
            self._is_away = False
            logger.info("backend is back", extra={"backend_url": self._url})


class Upload:
    """A request's body on its way to the backend, piece by piece, up to a limit."""

    def __init__(self, request: web.Request, limit: int) -> None:
        self._content = request.content
        self._limit = limit
        self._size = request.content_length or 0
        self.check_size()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for data in self._content.iter_any():
            seen += len(data)
            self._size = max(self._size, seen)
            self.check_size()
            yield data

    def check_size(self) -> None:
        """Refuse what is too large, by what was announced or by what has come.

        Raises:
            ProblemError: it is larger than the limit.
        """
        if self._size > self._limit:
            raise ProblemError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "body_too_large",
                f"The body is larger than {self._limit} bytes; WEIR_DASHBOARD_MAX_BODY allows more.",
            )


def _headers_up(request: web.Request) -> list[tuple[str, str]]:
    kept = [
        (name, value)
        for name, value in end_to_end(request.headers.items())
        if name.lower() not in _NOT_SENT_UP
    ]
    return [
        *kept,
        ("X-Forwarded-For", request.remote or "unknown"),
        ("X-Forwarded-Host", request.host),
        ("X-Forwarded-Proto", request.scheme),
    ]


async def _pieces(content: aiohttp.StreamReader, idle_seconds: float | None) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises:
        TimeoutError: nothing came for `idle_seconds`.
    """
    while True:
        async with asyncio.timeout(idle_seconds):
            data = await content.readany()
        if not data:
            return
        yield data


def _break_off(request: web.Request) -> None:
    """Cut the connection, so that a broken answer cannot pass for a whole one."""
    if request.transport is not None:
        request.transport.abort()

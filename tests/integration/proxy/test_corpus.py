"""Every raw request of the corpus, over sockets: the right answers, and nothing wrong at the upstream."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.support.corpus import CASES, Case
from tests.support.corpus.case import BODY, LENGTH, MARK, UPSTREAM, request, seen
from tests.support.raw_http import Connection
from tests.support.recording_upstream import RecordingUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Process

DEADLINE: Final = 60.0
AT_ONCE: Final = 16
_NEXT: Final = request(LENGTH, body=BODY)
_HOSTILE: Final = (b"\r", b"\n", b":", b" ", b"\r\n\r", b";")
"""Behind the first and the last of these a request is cut."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[RecordingUpstream]:
    async with RecordingUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def proxy_settings(upstream: RecordingUpstream) -> dict[str, str]:
    return {
        "WEIR_UPSTREAM_URL": upstream.url,
        "WEIR_LOG_LEVEL": "debug",
    }


def _pieces(raw: bytes) -> list[bytes]:
    """The request cut where parsers change their state."""
    cuts = {0, len(raw), len(raw) - 1}
    for word in _HOSTILE:
        if (at := raw.find(word)) >= 0:
            cuts |= {at, at + len(word), raw.rfind(word), raw.rfind(word) + len(word)}
    places = sorted(cuts)
    return [raw[start:end] for start, end in pairwise(places)]


async def _run(case: Case, url: str, upstream: RecordingUpstream, *, in_pieces: bool) -> None:
    mark = uuid4().hex[: len(MARK)].encode()
    next_mark = uuid4().hex[: len(MARK)].encode()
    raw = case.raw.replace(MARK, mark)
    said = b""
    async with await Connection.open(url) as connection:
        for piece in _pieces(raw) if in_pieces and not case.at_once else [raw]:
            try:
                await connection.send(piece)
            except ConnectionError:  # it refused before it had heard all
                break
            await asyncio.sleep(0)
        if not case.leaves:
            statuses: list[int] = []
            for number in range(len(case.statuses)):
                method = "HEAD" if case.head_first and number == 0 else "POST"
                answer = await connection.answer(method=method, deadline=DEADLINE)
                statuses.append(answer.status)
                said += answer.body + repr(answer.head).encode()
            assert tuple(statuses) == case.statuses
            if case.kept:
                await connection.send(_NEXT.replace(MARK, next_mark))
                assert (await connection.answer(deadline=DEADLINE)).status == 200
            else:
                assert await connection.ended(deadline=DEADLINE) == b"", "nothing may follow the last answer"
    assert mark not in said, "what came is repeated in an answer"
    wanted = [one.replace(UPSTREAM, upstream.authority) for one in case.forwarded]
    assert upstream.with_mark(mark) == [one.replace(MARK, mark) for one in wanted]
    if case.kept and not case.leaves:
        follows = seen().replace(UPSTREAM, upstream.authority).replace(MARK, next_mark)
        assert upstream.with_mark(next_mark) == [follows]
    _sent.update({mark, next_mark})


_sent: set[bytes] = set()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "in-pieces"])
async def test_each_request_gets_what_it_should(
    proxy: Process, upstream: RecordingUpstream, *, in_pieces: bool
) -> None:
    room = asyncio.Semaphore(AT_ONCE)
    wrong: list[str] = []

    async def run(case: Case) -> None:
        async with room:
            try:
                await _run(case, proxy.url, upstream, in_pieces=in_pieces)
            except Exception as error:  # noqa: BLE001 - all that goes wrong is told together, by case
                wrong.append(f"{case.name}: {type(error).__name__} {str(error)[:300]}")

    await asyncio.gather(*(run(case) for case in CASES))
    assert not wrong, "\n".join(wrong)


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_of_them_is_in_the_log(proxy: Process) -> None:
    assert _sent, "runs after the corpus"
    log = proxy.stderr.encode()
    assert [mark for mark in _sent if mark in log] == []
    assert b"Traceback" not in log


@pytest.mark.asyncio(loop_scope="module")
async def test_no_connection_to_the_upstream_brought_half_a_request(
    proxy: Process, upstream: RecordingUpstream
) -> None:
    assert _sent, "runs after the corpus"
    assert [rest for rest in upstream.rests.values() if rest] == []


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len({case.name for case in CASES}) == len(CASES), "names are unique"
    assert len(CASES) >= 150

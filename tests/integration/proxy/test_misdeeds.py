"""Whatever an upstream answers: the client gets what it should, one record says so, and nobody else sees."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.support.crooked import MISDEEDS
from tests.support.crooked.misdeed import Do
from tests.support.crooked.server import CrookedUpstream, good_body
from tests.support.proxy import CHAT
from tests.support.raw_http import Connection, Head, IncompleteAnswerError
from tests.support.records import marker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Process
    from tests.support.records import Records

DEADLINE: Final = 60.0
TIMEOUT: Final = 0.5
"""The upstream timeouts, seconds."""
_PATIENT: Final = {Do.STALL}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[CrookedUpstream]:
    async with CrookedUpstream(MISDEEDS) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def proxy_settings(upstream: CrookedUpstream) -> dict[str, str]:
    return {
        "WEIR_UPSTREAM_URL": upstream.url,
        "WEIR_UPSTREAM_FIRST_BYTE_TIMEOUT": f"{TIMEOUT}s",
        "WEIR_UPSTREAM_IDLE_TIMEOUT": f"{TIMEOUT}s",
    }


async def _good(url: str) -> None:
    """Somebody else, who must get what is theirs."""
    name = f"good-{uuid4().hex}"
    async with await Connection.open(url) as connection:
        body = json.dumps({"model": "m", "messages": [], "user": name}).encode()
        await connection.request("POST", CHAT, [("Content-Type", "application/json")], body)
        answer = await connection.answer(deadline=DEADLINE)
    assert (answer.status, answer.body) == (200, good_body(name)), "somebody got another's answer"


async def _ask(url: str, number: int, mark: str) -> tuple[Head, bytes, bool]:
    """The answer's head, its body, and whether it broke off."""
    body: dict[str, object] = {"model": "m", "messages": [], "user": f"misdeed-{number}"}
    if MISDEEDS[number].stream:
        body["stream"] = True
    headers = [("Content-Type", "application/json"), ("x-request-id", mark), ("Accept-Encoding", "gzip, br")]
    async with await Connection.open(url) as connection:
        await connection.request("POST", CHAT, headers, json.dumps(body).encode())
        head = await connection.head(deadline=DEADLINE)
        came = b""
        try:
            async with asyncio.timeout(DEADLINE):
                async for part in connection.parts(head):
                    came += part
        except IncompleteAnswerError as error:
            return head, came + error.body, True
        return head, came, False


async def _run(number: int, url: str, upstream: CrookedUpstream, mark: str) -> None:
    misdeed = MISDEEDS[number]
    head, body, broke_off = await _ask(url, number, mark)
    upstream.answered[number].set()
    assert head.status == misdeed.status
    assert b"poison" not in body
    if misdeed.breaks_off:
        # where an event can be put, the stream is ended by one that tells of the error
        assert broke_off or b'data: {"error":' in body
    elif misdeed.body is not None:
        assert body == misdeed.body
    else:
        error = json.loads(body)["error"]
        assert error["code"] == misdeed.error_type
    names = {name.lower() for name, _ in head.headers}
    assert not names & set(misdeed.without)
    if misdeed.connection_ends:
        async with asyncio.timeout(DEADLINE):
            await upstream.ended[number].wait()
    await _good(url)


@pytest.mark.asyncio(loop_scope="module")
async def test_each_misdeed_gets_what_it_should(
    proxy: Process, upstream: CrookedUpstream, records: Records
) -> None:
    """One after the other, so that who comes next meets the connection of the one before."""
    marks = [marker() for _ in MISDEEDS]
    wrong: list[str] = []
    await _good(proxy.url)

    async def run(number: int) -> None:
        try:
            await _run(number, proxy.url, upstream, marks[number])
        except Exception as error:  # noqa: BLE001 - all that goes wrong is told together, by name
            wrong.append(f"{MISDEEDS[number].name}: {type(error).__name__} {str(error)[:300]}")

    patient = [number for number, misdeed in enumerate(MISDEEDS) if _PATIENT & set(misdeed.steps)]
    for number in range(len(MISDEEDS)):
        if number not in patient:
            await run(number)
    await asyncio.gather(*(run(number) for number in patient))

    for misdeed, record in zip(MISDEEDS, await records.of_all(marks, DEADLINE), strict=True):
        found = (record.outcome, record.status_code, record.error_type)
        wanted = (misdeed.outcome, misdeed.status, misdeed.error_type)
        if found != wanted:
            wrong.append(f"{misdeed.name}: recorded {found}, not {wanted}")
    assert not wrong, "\n".join(wrong)


def test_the_table_is_as_large_as_it_says() -> None:
    assert len({misdeed.name for misdeed in MISDEEDS}) == len(MISDEEDS) >= 60, "names are unique"

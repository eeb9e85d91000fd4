"""A request is accepted when its mark or its record is in the journal, and nothing happens before.

Until then not one byte has gone to an upstream or back to its client, so a process that dies earlier has done
nothing: the client sees a connection that closed without an answer, and sends again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support.transport import FakeTransport
from tests.unit.proxy.test_pipeline import ANSWER, BODY, post
from tests.unit.proxy.test_uploads import BEGINNING, END, PIECE, head

from weir.events import decode
from weir.events.journal_reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.proxy_in_memory import InMemoryProxy

TIMES: Final = 2
"""Each is sent twice: a head that came before takes another way."""
FORM: Final = [head(len(BEGINNING) + len(PIECE) + len(END)) + BEGINNING, PIECE, END]
EXPECTING: Final = post(BODY, "Expect: 100-continue")
CHUNKED: Final = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CASES: Final[dict[str, Sequence[bytes]]] = {
    "plain": [post()],
    "streamed": [post(BODY.replace(b"}", b',"stream":true}'))],
    "byte by byte": [bytes([byte]) for byte in post()],
    "body later": [post()[: -len(BODY)], BODY],
    "invited to send its body": [EXPECTING[: -len(BODY)], BODY],
    "invited, with a beginning": [EXPECTING[:-5], BODY[-5:]],
    "form": FORM,
    "chunked": [CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)],
    "broken JSON": [post(b"{")],
    "too large": [post(b"x" * 20_000)],
    "too large, invited": [post(b"x" * 20_000, "Expect: 100-continue")[:-20_000]],
    "list of models": [b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"],
    "broken in the body": [CHUNKED, b"zz\r\n"],
}


@pytest.mark.parametrize("pieces", CASES.values(), ids=CASES)
@pytest.mark.parametrize("room", [8, 0], ids=["", "overloaded"])
async def test_nothing_is_sent_before_the_request_is_in_the_journal(
    pieces: Sequence[bytes],
    room: int,
    make_proxy: Callable[..., InMemoryProxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = make_proxy(max_in_flight=room)
    sent: list[tuple[bytes, int]] = []
    really_write = FakeTransport.write

    def write(transport: FakeTransport, data: Any) -> None:
        sent.append((bytes(data[:40]), len(known(proxy))))
        really_write(transport, data)

    monkeypatch.setattr(FakeTransport, "write", write)
    for number in range(1, TIMES + 1):
        client = proxy.client()
        for piece in pieces:
            if not client.transport.closed:
                await client.say(piece)
        for network in proxy.networks.values():
            if network.ends and network.ends[-1].take():
                network.ends[-1].say(ANSWER)
        await client.leave()
        early = [data for data, ids in sent if ids < number]
        assert early == []
        assert sent, "something is answered or sent on"
        assert len(known(proxy)) == number
        sent.clear()


def known(proxy: InMemoryProxy) -> set[str]:
    """The ids of all requests that would have a row if the process died in this moment."""
    reading = JournalReader(proxy._directory, keep_seconds=0)
    reading.follow("w1")
    ids = {decode(payload).request_id for payload in reading.read(1000).payloads}
    reading.close()
    return ids | {event.request_id for event in proxy.open_marks()}

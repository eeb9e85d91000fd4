"""A server that refuses what only we asked for: its client gets its answer, and it is not asked again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.support.proxy_in_memory import InMemoryProxy, UpstreamEnd, turns

from weir.events import Outcome
from weir.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM: Final = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
BODY: Final = b'{"model": "m", "stream":true}'
EACH: Final = {"include_usage": True, "continuous_usage_stats": True}
END: Final = {"include_usage": True}
MISTRAL: Final = {"message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]}}
OLD_VLLM: Final = {
    "message": "[{'type': 'extra_forbidden', 'loc': ('stream_options', 'continuous_usage_stats')}]"
}
NONE_OF_OURS: Final = {"error": {"message": "max_tokens is too large", "code": 400}}


def answer(status: str, document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


OK: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(STREAM) + STREAM
)


class Scene:
    """One client after the other, and one upstream."""

    def __init__(self, proxy: InMemoryProxy) -> None:
        self.proxy = proxy
        self.client = proxy.client()

    async def ask(self, body: bytes = BODY) -> Any:
        """Send a request; the `stream_options` that reach the upstream."""
        self.client = self.proxy.client()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        await self.client.say(head.encode() + body)
        return self.options()

    def options(self) -> Any:
        return json.loads(self.upstream.take().partition(b"\r\n\r\n")[2]).get("stream_options")

    @property
    def upstream(self) -> UpstreamEnd:
        return self.proxy.upstream

    async def say(self, data: bytes) -> None:
        self.upstream.say(data)
        await turns()


@pytest.fixture
def scene(make_proxy: Callable[..., InMemoryProxy]) -> Scene:
    return Scene(make_proxy(upstreams=[Upstream(name="one", url="http://u.test/v1", ask_usage="each")]))


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity"])
async def test_the_client_gets_what_it_would_have_got(scene: Scene, status: str) -> None:
    assert await scene.ask() == EACH
    await scene.say(answer(status, MISTRAL))
    assert scene.client.take() == b"", "the refusal is not the client's"
    assert scene.upstream.take().endswith(b"\r\n\r\n" + BODY), "its own bytes, nothing added"
    await scene.say(OK)
    assert STREAM in scene.client.take()
    record = scene.proxy.record()
    assert (record.outcome, record.retries, record.usage_source) == (Outcome.COMPLETED, 1, "estimated")
    assert [attempt.status for attempt in record.attempts or ()] == [int(status[:3]), 200]
    assert await scene.ask() is None, "it is not asked again"
    await scene.say(OK)
    assert scene.proxy.record().retries == 0


async def test_only_what_is_refused_is_given_up(scene: Scene) -> None:
    assert await scene.ask() == EACH
    await scene.say(answer("400 Bad Request", OLD_VLLM))
    assert scene.options() == END
    await scene.say(OK)
    assert STREAM in scene.client.take()
    assert await scene.ask() == END
    await scene.say(OK)
    assert len(scene.proxy.records()) == 2


async def test_step_by_step_down_to_nothing(scene: Scene) -> None:
    await scene.ask()
    await scene.say(answer("400 Bad Request", OLD_VLLM))
    assert scene.options() == END
    await scene.say(answer("400 Bad Request", MISTRAL))
    assert scene.options() is None
    await scene.say(OK)
    assert STREAM in scene.client.take()
    assert scene.proxy.record().retries == 2
    assert await scene.ask() is None
    await scene.say(OK)
    assert scene.proxy.record().retries == 0


async def test_a_refusal_of_something_else_is_the_clients(scene: Scene) -> None:
    refusal = answer("400 Bad Request", NONE_OF_OURS)
    await scene.ask()
    for at in range(0, len(refusal), 20):
        await scene.say(refusal[at : at + 20])
    assert scene.client.take().endswith(refusal.partition(b"\r\n\r\n")[2])
    record = scene.proxy.record()
    assert (record.outcome, record.retries, record.status_code) == (Outcome.CLIENT_ERROR, 0, 400)
    assert await scene.ask() == EACH
    await scene.say(OK)
    assert scene.proxy.record().outcome is Outcome.COMPLETED


async def test_a_client_cannot_switch_it_off_by_its_own_mistake(scene: Scene) -> None:
    """What is refused without our addition too was not refused because of it."""
    await scene.ask(b'{"stream":true,"stream_options":{"x":1}}')
    await scene.say(answer("400 Bad Request", MISTRAL))
    assert scene.options() == {"x": 1}
    await scene.say(answer("400 Bad Request", MISTRAL))
    assert scene.client.take().startswith(b"HTTP/1.1 400 ")
    assert scene.proxy.record().outcome is Outcome.CLIENT_ERROR
    assert await scene.ask() == EACH
    await scene.say(OK)
    assert scene.proxy.record().retries == 0


async def test_nothing_is_held_of_what_was_asked_for_by_the_client(scene: Scene) -> None:
    await scene.ask(b'{"stream":true,"stream_options":%b}' % json.dumps(EACH).encode())
    refusal = answer("400 Bad Request", MISTRAL)
    await scene.say(refusal[:-5])
    assert scene.client.take().startswith(b"HTTP/1.1 400 ")
    await scene.say(refusal[-5:])
    assert scene.proxy.record().retries == 0


async def test_a_refusal_that_breaks_off_is_a_broken_answer(scene: Scene) -> None:
    await scene.ask()
    await scene.say(answer("400 Bad Request", MISTRAL)[:-5])
    scene.upstream.lose()
    await turns()
    assert scene.client.take().startswith(b"HTTP/1.1 400 ")
    assert scene.client.transport.aborted
    assert scene.proxy.record().outcome is Outcome.TRUNCATED


async def test_a_client_that_leaves_while_it_is_held(scene: Scene) -> None:
    await scene.ask()
    await scene.say(answer("400 Bad Request", MISTRAL)[:-5])
    await scene.client.leave()
    assert scene.upstream.transport.aborted
    assert scene.proxy.record().outcome is Outcome.CANCELLED


async def test_a_long_answer_is_not_held(scene: Scene) -> None:
    await scene.ask()
    body = b'{"stream_options":"' + b"x" * 100_000 + b'"}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body)
    await scene.say(head + body[:70_000])
    assert len(scene.client.take()) > 70_000
    await scene.say(body[70_000:])
    assert scene.proxy.record().retries == 0

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from weir.metrics_api.live import hub as module
from weir.metrics_api.live.frame import frame, gap
from weir.metrics_api.live.hub import Hub, is_id, later
from weir.metrics_api.live.listener import MOST_WAITING, Listener, Message, Wish

EVERYTHING = Wish(frozenset({"metrics", "requests"}))


def message(number: int, content: dict[str, Any] | None = None) -> Message:
    body = {"type": "metrics", "data": {"n": number}} if content is None else content
    return Message(f"{number}-0", json.dumps(body).encode(), body)


def listener(wish: Wish = EVERYTHING) -> Listener:
    return Listener(wish, "0-0")


def test_frames_are_server_sent_events() -> None:
    assert frame({"a": "x\ny"}, "1-0") == b'id: 1-0\ndata: {"a":"x\\ny"}\n\n'
    assert frame(b"{}") == b"data: {}\n\n"
    assert gap(17) == b'data: {"type":"gap","data":{"missed_from":17}}\n\n'


async def test_what_is_offered_comes_out_in_order() -> None:
    one = listener()
    for number in range(3):
        one.offer(message(number))
    assert await one.next(1) == [frame(message(n).data, f"{n}-0") for n in range(3)]


async def test_nothing_new_is_an_empty_answer_in_time() -> None:
    assert await listener().next(0.001) == []


async def test_waiting_ends_with_the_first_message() -> None:
    one = listener()
    waiting = asyncio.ensure_future(one.next(10))
    await asyncio.sleep(0)
    one.offer(message(1))
    assert len(await waiting or []) == 1


async def test_who_reads_too_slowly_loses_what_waits_and_is_told() -> None:
    one = listener()
    for number in range(MOST_WAITING + 5):
        one.offer(message(1000 + number))
    found = await one.next(1)
    assert found is not None
    assert found[0] == gap(1000 + MOST_WAITING, f"{1000 + MOST_WAITING}-0")
    assert len(found) == 5


async def test_an_ended_listener_gets_what_waits_and_then_the_end() -> None:
    one = listener()
    one.offer(message(1))
    one.end()
    assert len(await one.next(1) or []) == 1
    assert await one.next(1) is None


def test_topics_and_filters_decide_what_is_heard() -> None:
    rows = [{"model": "a"}, {"model": "b"}]
    requests = message(1, {"type": "requests", "data": rows})
    only_a = Wish(frozenset({"requests"}), lambda row: row["model"] == "a")
    assert only_a.frame_of(message(2)) is None
    assert only_a.frame_of(requests) == frame({"type": "requests", "data": rows[:1]}, "1-0")
    assert EVERYTHING.frame_of(requests) == frame(requests.data, "1-0")
    nothing = Wish(frozenset({"requests"}), lambda _row: False)
    assert nothing.frame_of(requests) is None
    flood = message(3, {"type": "requests", "data": rows, "skipped": 9})
    assert nothing.frame_of(flood) == frame({"type": "requests", "data": [], "skipped": 9}, "3-0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-0", True),
        ("1795229168617-12", True),
        ("", False),
        ("1", False),
        ("a-0", False),
        ("1-0\n", False),
        ("-1-0", False),
        ("9" * 99 + "-0", False),
    ],
)
def test_ids(text: str, expected: bool) -> None:
    assert is_id(text) is expected


def test_ids_are_ordered_as_numbers() -> None:
    assert later("10-0", "9-5")
    assert later("9-10", "9-9")
    assert not later("9-9", "9-9")


def test_only_so_many_may_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LISTENERS", 2)
    hub = Hub(None, None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - nothing is read
    first = hub.join(EVERYTHING)
    hub.join(EVERYTHING)
    with pytest.raises(module.TooManyListenersError):
        hub.join(EVERYTHING)
    hub.leave(first)
    hub.join(EVERYTHING)
    assert hub.listeners == 2

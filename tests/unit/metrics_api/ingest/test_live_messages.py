from __future__ import annotations

import orjson
from tests.support.builders import make_event

from weir.metrics_api.ingest.backoff import Backoff
from weir.metrics_api.ingest.live_messages import MOST, messages


def test_nothing_is_said_of_nothing() -> None:
    assert messages([]) == []


def test_a_batch_is_one_message() -> None:
    events = [make_event() for _ in range(3)]
    (message,) = map(orjson.loads, messages(events))
    assert [row["request_id"] for row in message["data"]] == [event.request_id for event in events]
    assert "skipped" not in message


def test_of_a_flood_the_newest_are_shown_and_the_others_counted() -> None:
    events = [make_event() for _ in range(MOST + 7)]
    (message,) = map(orjson.loads, messages(events))
    assert [row["request_id"] for row in message["data"]] == [event.request_id for event in events[7:]]
    assert message["skipped"] == 7


def test_no_text_of_prompts_or_secrets_has_a_field() -> None:
    (message,) = map(orjson.loads, messages([make_event()]))
    assert not {"usage_raw", "attempts", "prompt", "messages", "completion"} & set(message["data"][0])


def test_pauses_double_up_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(first=1.0, longest=4.0)
    pauses = [backoff.pause() for _ in range(4)]
    for pause, bound in zip(pauses, (1, 2, 4, 4), strict=True):
        assert bound / 2 <= pause <= bound
    backoff.reset()
    assert backoff.pause() <= 1

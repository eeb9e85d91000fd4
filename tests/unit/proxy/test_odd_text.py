"""Text that is none, documents that are not as expected: passed on or refused, never a failure of ours."""

from __future__ import annotations

from contextlib import suppress

import pytest

from weir.proxy.providers import DIALECTS
from weir.proxy.providers.model_name import rename_in_json
from weir.proxy.providers.provider import Added, UnreadableBodyError

BODIES = [
    b'{"model":"\xff","stream":true}',
    b'{"model":"m","\xff":1,"stream":true,"stream_options":{}}',
    b'{"model":"m","name":"\xff","messages":"\xff"}',
    b'{"model":"m","metadata":{"user_id":"\xff"}}',
    b'{"model":"m","stream_format":"\xff","stream":"\xff"}',
    b'{"model":"\\ud800","stream":true}',
    b'{"model":1e999,"stream":1e999}',
    b'{"model":"m","user":{},"stream":[],"stream_options":3,"metadata":[]}',
    b'{"model":' + b"[" * 3000 + b"]" * 3000 + b"}",
]
ENDS = [
    b'{"type":"response.completed","response":null}',
    b'{"type":"response.completed","response":{"usage":"x","error":"y","incomplete_details":3}}',
    b'{"type":"response.failed","response":[]}',
    b'{"type":"message_start","message":{"usage":[]}}',
    b'{"type":"message_delta","delta":3,"usage":{"output_tokens":"x"}}',
    b'{"type":"error","error":3}',
    b'{"error":3,"usage":3,"choices":3}',
    b'{"usage":{"prompt_tokens":-1,"prompt_tokens_details":3},"choices":[]}',
    b'{"done":true,"eval_count":"x","total_duration":[]}',
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", BODIES)
def test_a_request(dialect: str, body: bytes) -> None:
    with suppress(UnreadableBodyError):
        facts = DIALECTS[dialect].read_request(body)
        prepared, _ = DIALECTS[dialect].prepare(body, facts, Added.LAST | Added.EACH)
        assert rename_in_json(prepared, "other")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("added", [Added.LAST, Added.NOTHING])
def test_an_answer(dialect: str, end: bytes, *, stream: bool, added: Added) -> None:
    for answer in (b"data: " + end + b"\n\n", end + b"\n", b"data: " + end, end[:-3]):
        reader = DIALECTS[dialect].reader(stream=stream, added=added)
        given = reader.feed(answer, 1.0) + reader.finish()
        assert given in {answer, b""} or added
        reader = DIALECTS[dialect].reader(stream=stream, added=added)
        reader.feed(answer, 1.0)
        reader.abandon()

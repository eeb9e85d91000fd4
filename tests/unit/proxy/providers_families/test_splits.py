"""However the network cuts a stream, its bytes and its facts are the same: every dialect, recorded bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.support.fake_llm.families import family_of
from tests.support.fake_llm.reply import Asked
from tests.support.fake_llm.script import SCRIPTS
from tests.support.families import CASES, Case

from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.providers import DIALECTS
from weir.proxy.providers.provider import Added

if TYPE_CHECKING:
    from weir.proxy.exchange import AnswerFacts
    from weir.proxy.providers.provider import AnswerReader

DIALECT_OF: Final = {endpoint.path.decode(): endpoint.dialect for endpoint in ENDPOINTS}
LENGTHS: Final = (1, 2, 7, 64, 1000, 4096, 65_536, 1 << 30)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stream as its vendor sends it."""

    case: Case
    body: bytes

    def reader(self) -> AnswerReader:
        return DIALECTS[DIALECT_OF[self.case.path]].reader(stream=True, added=Added.NOTHING)


def recorded(case: Case) -> Recorded:
    family = family_of(case.method, case.path)
    assert family is not None
    fields = {**case.body, "stream": True, "stream_options": {"include_usage": True}}
    reply = family(Asked(case.path, fields, case.model, SCRIPTS[case.model]))
    return Recorded(case, b"".join([*reply.events, reply.end]))


STREAMS: Final = [recorded(case) for case in CASES if case.stream]


def follow(reader: AnswerReader, body: bytes, length: int) -> tuple[bytes, dict[str, Any]]:
    """What the client gets of a body that comes in pieces of this length, and what was read from it."""
    pieces = [body[at : at + length] for at in range(0, len(body), length)]
    out = b"".join(reader.feed(piece, float(now)) for now, piece in enumerate(pieces, 1))
    return out + reader.finish(), timeless(reader.facts)


def timeless(facts: AnswerFacts) -> dict[str, Any]:
    """The facts but for their moments."""
    return {
        name: value
        for name, value in asdict(facts).items()
        if not name.endswith("_at") and name != "max_token_gap"
    }


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.case.name)
def test_the_same_bytes_and_facts_at_any_split(stream: Recorded) -> None:
    case = stream.case
    for length in LENGTHS:
        if len(stream.body) > 20_000 and length < 1000:
            continue  # a long stream in single bytes says no more than a short one, and takes long
        out, facts = follow(stream.reader(), stream.body, length)
        assert out == stream.body
        assert facts["ended"], length
        assert facts["error_type"] is None
        assert facts["finish_reason"] == case.says.get("finish_reason"), length
        assert facts["model"] == case.says.get("model"), length
        assert facts["content_chunks"] == case.says["content_chunks"], length
        usage: dict[str, Any] = msgspec.to_builtins(facts["usage"]) if facts["usage"] else {}
        for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cache_read_tokens"):
            assert usage.get(name) == case.says.get(name), (name, length)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.case.name)
def test_a_broken_stream_keeps_what_it_said(stream: Recorded) -> None:
    """Cut in the middle: nothing made up, no failure, and the stream has not ended."""
    reader = stream.reader()
    half = stream.body[: len(stream.body) // 2]
    out = reader.feed(half, 1.0)
    reader.abandon()
    assert half.startswith(out)
    assert not reader.facts.ended
    assert reader.facts.error_type is None


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.case.name)
def test_garbage_passes_without_a_failure(stream: Recorded) -> None:
    reader = stream.reader()
    garbage = (
        b'data: {\xff"type":"error"\n\nevent: error\ndata: [[[\n\n' + b'{"done":true\n' + b"\x00" * 70_000
    )
    assert b"".join([reader.feed(garbage, 1.0), reader.finish()]) == garbage

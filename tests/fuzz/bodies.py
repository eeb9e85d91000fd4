"""Bodies of requests and answers in every dialect: nothing fails, nothing is altered but what must be."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from tests.fuzz.part import Part, cuts, mutated, pieces
from tests.support.corpus import CASES
from tests.support.crooked import MISDEEDS
from tests.support.crooked.compression import COMPRESSION
from tests.support.fake_llm.families import family_of
from tests.support.fake_llm.reply import Asked
from tests.support.fake_llm.script import SCRIPTS
from tests.support.families import CASES as FAMILIES

from weir.proxy.endpoints import ENDPOINTS
from weir.proxy.forwarding.decoding import CODINGS, DecodingReader
from weir.proxy.providers import DIALECTS
from weir.proxy.providers.json_bytes import json_object
from weir.proxy.providers.provider import Added, UnreadableBodyError

if TYPE_CHECKING:
    from weir.proxy.exchange import AnswerFacts

_DIALECT_OF: Final = {endpoint.path.decode(): endpoint.dialect for endpoint in ENDPOINTS}
_WORDS: Final = (
    *(
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\r",
        b"data: ",
        b"event: ",
        b": ",
        b"[DONE]",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
    ),
    *(
        b"null",
        b"true",
        b"1e400",
        b"-1",
        b"9" * 30,
        b'"usage":',
        b'"choices":[]',
        b'"model":',
        b'"stream":true',
    ),
    *(
        b"\\",
        b"\\ud800",
        b"\\u0000",
        b"\xff",
        b"\0",
        b"\xef\xbb\xbf",
        b"[" * 2000,
        b'"delta":{"content":"a"}',
    ),
    *(b'"stream_options":{"include_usage":true}', b'"stream_options":', b"\x1f\x8b"),
)


def _recorded(*, stream: bool) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for case in FAMILIES:
        family = family_of(case.method, case.path)
        if family is None or case.path not in _DIALECT_OF:
            continue
        fields = {
            **case.body,
            "stream": stream,
            "stream_options": {"include_usage": True},
        }
        reply = family(Asked(case.path, fields, case.model, SCRIPTS[case.model]))
        body = b"".join([*reply.events, reply.end]) if stream else reply.plain
        if body and len(body) < 8000:
            found.append((_DIALECT_OF[case.path], body))
    return found


_ODD: Final = [misdeed.body for misdeed in MISDEEDS if misdeed.body is not None and len(misdeed.body) < 8000]
_STREAMS: Final = [body for _, body in _recorded(stream=True)] + _ODD
_PLAIN: Final = [body for _, body in _recorded(stream=False)] + _ODD
_dialects: Final = st.sampled_from(sorted(DIALECTS))


def _facts(facts: AnswerFacts) -> tuple[Any, ...]:
    return (
        facts.model,
        facts.finish_reason,
        facts.usage,
        facts.error_type,
        facts.error_message,
        facts.ended,
    )


def _follow(dialect: str, parts: list[bytes], added: Added, *, stream: bool) -> tuple[bytes, tuple[Any, ...]]:
    reader = DIALECTS[dialect].reader(stream=stream, added=added)
    out = b"".join([reader.feed(part, 1.0) for part in parts if part]) + reader.finish()
    return out, _facts(reader.facts)


def _is_object(line: bytes) -> bool:
    return bool(json_object(line)) or not line.strip()


def _check_stream(example: tuple[str, bytes, list[int], Added]) -> None:
    dialect, body, places, added = example
    out, facts = _follow(dialect, [body], added, stream=True)
    cut_out, cut_facts = _follow(dialect, pieces(body, places), added, stream=True)
    assert cut_out == out, "another cut, other bytes"
    if dialect != "ollama.chat" or all(map(_is_object, body.splitlines())):
        # the last line of `generate`, which may be long, is read by its words where it is not read whole
        assert cut_facts == facts, "another cut, other facts"
    if added == Added.NOTHING:
        assert out == body, "nothing was added, so nothing comes out"
    cut_off = DIALECTS[dialect].reader(stream=True, added=added)
    for part in pieces(body, places):
        cut_off.feed(part, 1.0)
    cut_off.abandon()


def _check_plain(example: tuple[str, bytes, list[int]]) -> None:
    dialect, body, places = example
    out, facts = _follow(dialect, [body], Added.NOTHING, stream=False)
    assert out == body
    assert _follow(dialect, pieces(body, places), Added.NOTHING, stream=False) == (
        out,
        facts,
    )


def _check_request(example: tuple[str, bytes, Added]) -> None:
    name, body, may = example
    dialect = DIALECTS[name]
    try:
        facts = dialect.read_request(body)
    except UnreadableBodyError:
        return
    sent, added = dialect.prepare(body, facts, may)
    assert not added & ~may, "more is asked for than may be"
    if added == Added.NOTHING:
        assert sent == body, "to the byte"
        return
    before, after = json.loads(body), json.loads(sent)
    assert after.pop("stream_options", None) is not None
    before.pop("stream_options", None)
    assert after == before or after != after, "only what is asked for is added"  # noqa: PLR0124 - NaN


def _check_packed(example: tuple[bytes, bytes, list[int]]) -> None:
    coding, body, places = example
    reader = DecodingReader(DIALECTS["openai.chat"].reader(stream=False, added=Added.NOTHING), coding)
    out = b"".join([reader.feed(part, 1.0) for part in pieces(body, places)]) + reader.finish()
    assert out == body, "it passes as it came"


_REQUESTS: Final = [
    *(case.raw.partition(b"\r\n\r\n")[2] for case in CASES if len(case.raw) < 1000),
    b'{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}',
    b'{"stream":true,"stream_options":{"include_usage":false,"x":1},"model":"m"}',
    b'{"stream":true,"stream_options":null,"model":"m"}',
]
_PACKED: Final = [
    *(case.body for case in COMPRESSION if case.body is not None and len(case.body) < 4000),
    gzip.compress(b'{"usage":{"prompt_tokens":3}}' * 50, mtime=0),
    zlib.compress(b'{"usage":{"prompt_tokens":3}}' * 50),
]
_added: Final = st.sampled_from([Added.NOTHING, Added.LAST, Added.LAST | Added.EACH])

PARTS: Final = {
    "streams": Part(st.tuples(_dialects, mutated(_STREAMS, _WORDS), cuts, _added), _check_stream),
    "plain-answers": Part(st.tuples(_dialects, mutated(_PLAIN, _WORDS), cuts), _check_plain),
    "request-bodies": Part(st.tuples(_dialects, mutated(_REQUESTS, _WORDS), _added), _check_request),
    "compression": Part(
        st.tuples(
            st.sampled_from(sorted(CODINGS)),
            mutated(_PACKED, (b"\x1f\x8b\x08", b"\0", b"\xff")),
            cuts,
        ),
        _check_packed,
        short=50,
    ),
}

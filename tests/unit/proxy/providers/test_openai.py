"""OpenAI's chat dialect on bytes as servers send them; any split gives the same bytes and the same facts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.transport import in_pieces

from weir.proxy.errors import upstream_failed
from weir.proxy.providers.openai import OpenAI
from weir.proxy.providers.provider import Added, UnreadableBodyError

if TYPE_CHECKING:
    from weir.proxy.exchange import AnswerFacts
    from weir.proxy.providers.provider import AnswerReader

DIALECT: Final = OpenAI()


def sse(*documents: str, end: str = "\n\n") -> bytes:
    return "".join(f"data: {document}{end}" for document in documents).encode()


# What servers send to a request with include_usage, and what they would have sent without it.
OPENAI: Final = sse(
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    '"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}',
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    '"delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}],"usage":null}',
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    '"delta":{"content":"lo"},"logprobs":null,"finish_reason":null}],"usage":null}',
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{"index":0,'
    '"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}',
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[],"usage":'
    '{"prompt_tokens":19,"completion_tokens":2,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":16,'
    '"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}',
    "[DONE]",
)
OPENAI_WITHOUT: Final = sse(
    *(
        event[6:].replace(',"usage":null', "")
        for event in OPENAI.decode().split("\n\n")
        if event and '"choices":[]' not in event
    )
)
VLLM: Final = sse(
    '{"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,"delta":'
    '{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,'
    '"total_tokens":5,"completion_tokens":0}}',
    '{"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,"delta":'
    '{"content":"a b"},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":7,'
    '"completion_tokens":2}}',
    '{"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,"delta":'
    '{"content":" c"},"logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":'
    '{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}',
    '{"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":[],"usage":'
    '{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}}',
    "[DONE]",
)
LLAMA_CPP: Final = sse(
    '{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,'
    '"id":"c","model":"qwen","system_fingerprint":"b1","object":"chat.completion.chunk"}',
    '{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"created":1,"id":"c","model":"qwen",'
    '"system_fingerprint":"b1","object":"chat.completion.chunk"}',
    '{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"created":1,"id":"c","model":"qwen",'
    '"system_fingerprint":"b1","object":"chat.completion.chunk"}',
    '{"choices":[],"created":1,"id":"c","model":"qwen","system_fingerprint":"b1","object":"chat.completion.chunk",'
    '"usage":{"completion_tokens":2,"prompt_tokens":11,"total_tokens":13},"timings":{"prompt_n":11,'
    '"prompt_ms":12.5,"predicted_n":2,"predicted_ms":30.25}}',
    "[DONE]",
)
OLLAMA: Final = sse(
    '{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"gemma3","system_fingerprint":'
    '"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}',
    '{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"gemma3","system_fingerprint":'
    '"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}',
    '{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"gemma3","system_fingerprint":'
    '"fp_ollama","choices":[],"usage":{"prompt_tokens":26,"completion_tokens":2,"total_tokens":28}}',
    "[DONE]",
)
DEEPSEEK: Final = b": keep-alive\n\n" + sse(
    '{"id":"d","object":"chat.completion.chunk","model":"deepseek-reasoner","choices":[{"index":0,"delta":'
    '{"role":"assistant","content":null,"reasoning_content":""},"finish_reason":null}],"usage":null}',
    '{"id":"d","object":"chat.completion.chunk","model":"deepseek-reasoner","choices":[{"index":0,"delta":'
    '{"content":null,"reasoning_content":"Hmm"},"finish_reason":null}],"usage":null}',
    '{"id":"d","object":"chat.completion.chunk","model":"deepseek-reasoner","choices":[{"index":0,"delta":'
    '{"content":"42","reasoning_content":null},"finish_reason":null}],"usage":null}',
    '{"id":"d","object":"chat.completion.chunk","model":"deepseek-reasoner","choices":[{"index":0,"delta":'
    '{"content":"","reasoning_content":null},"finish_reason":"stop"}],"usage":null}',
    '{"id":"d","object":"chat.completion.chunk","model":"deepseek-reasoner","choices":[],"usage":'
    '{"prompt_tokens":9,"completion_tokens":30,"total_tokens":39,"prompt_tokens_details":{"cached_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":25},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":9}}',
    "[DONE]",
)
TOOLS: Final = sse(
    '{"id":"t","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,'
    '"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]}',
    '{"id":"t","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":'
    '"{\\"usage\\":null,\\"city\\":\\"K\\u00f6ln\\"}"}}]},"finish_reason":null}]}',
    '{"id":"t","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
    '{"id":"t","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":9,"total_tokens":10}}',
    "[DONE]",
)


def without_usage_chunk(stream: bytes) -> bytes:
    events = stream.decode().split("\n\n")
    return "\n\n".join(event for event in events if '"choices":[],' not in event).encode()


EXPECTED: Final[dict[str, tuple[bytes, bytes, dict[str, Any]]]] = {
    "openai": (
        OPENAI,
        OPENAI_WITHOUT,
        {"model": "gpt-4o-2024-08-06", "finish_reason": "stop", "chunks": 2, "prompt": 19, "completion": 2},
    ),
    "vllm": (
        VLLM,
        without_usage_chunk(VLLM),
        {"model": "llama", "finish_reason": "length", "chunks": 2, "prompt": 5, "completion": 3},
    ),
    "llama.cpp": (
        LLAMA_CPP,
        without_usage_chunk(LLAMA_CPP),
        {"model": "qwen", "finish_reason": "stop", "chunks": 1, "prompt": 11, "completion": 2},
    ),
    "ollama": (
        OLLAMA,
        without_usage_chunk(OLLAMA),
        {"model": "gemma3", "finish_reason": "stop", "chunks": 1, "prompt": 26, "completion": 2},
    ),
    "deepseek": (
        DEEPSEEK,
        without_usage_chunk(DEEPSEEK).replace(b',"usage":null', b""),
        {"model": "deepseek-reasoner", "finish_reason": "stop", "chunks": 2, "prompt": 9, "completion": 30},
    ),
    "tools": (
        TOOLS,
        without_usage_chunk(TOOLS),
        {"model": "m", "finish_reason": "tool_calls", "chunks": 2, "prompt": 1, "completion": 9},
    ),
}


def follow(reader: AnswerReader, pieces: list[bytes]) -> bytes:
    given = b"".join(reader.feed(piece, float(number)) for number, piece in enumerate(pieces))
    return given + reader.finish()


def summary(facts: AnswerFacts) -> dict[str, Any]:
    assert facts.usage is not None
    return {
        "model": facts.model,
        "finish_reason": facts.finish_reason,
        "chunks": facts.content_chunks,
        "prompt": facts.usage.prompt_tokens,
        "completion": facts.usage.completion_tokens,
    }


def timeless(facts: AnswerFacts) -> dict[str, Any]:
    """The facts that do not depend on when the bytes came."""
    moments = {"first_token_at", "first_answer_at", "last_token_at", "max_token_gap"}
    return {name: value for name, value in asdict(facts).items() if name not in moments}


class TestStreams:
    @pytest.mark.parametrize("server", EXPECTED)
    def test_what_is_read_and_what_is_taken_out(self, server: str) -> None:
        stream, stripped, facts = EXPECTED[server]
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        assert follow(reader, [stream]) == stripped
        assert summary(reader.facts) == facts
        assert reader.facts.ended
        assert reader.facts.error_type is None

    @pytest.mark.parametrize("server", EXPECTED)
    def test_what_the_client_asked_for_stays(self, server: str) -> None:
        stream, _, facts = EXPECTED[server]
        reader = DIALECT.reader(stream=True, added=Added.NOTHING)
        assert follow(reader, [stream]) == stream
        assert summary(reader.facts) == facts

    @pytest.mark.parametrize("server", EXPECTED)
    @pytest.mark.parametrize("added", [Added.LAST, Added.NOTHING])
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
    def test_a_drip(self, server: str, added: Added, size: int) -> None:
        stream, stripped, facts = EXPECTED[server]
        reader = DIALECT.reader(stream=True, added=added)
        given = follow(reader, in_pieces(stream, range(0, len(stream), size)))
        assert given == (stripped if added else stream)
        assert summary(reader.facts) == facts

    @given(
        server=st.sampled_from(list(EXPECTED)),
        added=st.sampled_from([Added.LAST, Added.NOTHING]),
        end=st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]),
        ends=st.lists(st.integers(0, 1500), max_size=12),
    )
    def test_any_split_and_any_line_end(self, server: str, added: Added, end: str, ends: list[int]) -> None:
        stream = EXPECTED[server][0].replace(b"\n\n", end.encode())
        whole = DIALECT.reader(stream=True, added=added)
        split = DIALECT.reader(stream=True, added=added)
        assert follow(split, in_pieces(stream, ends)) == follow(whole, [stream])
        assert timeless(split.facts) == timeless(whole.facts)
        assert summary(whole.facts) == EXPECTED[server][2]
        assert whole.facts.ended

    @given(data=st.data(), ends=st.lists(st.integers(0, 3000), max_size=20))
    def test_any_bytes_pass_whole(self, data: st.DataObject, ends: list[int]) -> None:
        parts = st.sampled_from(
            [
                b"data: ",
                b"\n",
                b"\r",
                b"\n\n",
                b"\r\n\r\n",
                b'"usage":null',
                b'"usage":{',
                b"{}",
                b"[DONE]",
                b": c",
            ]
        )
        stream = b"".join(data.draw(st.lists(parts | st.binary(max_size=9), max_size=40)))
        reader = DIALECT.reader(stream=True, added=Added.NOTHING)
        assert follow(reader, in_pieces(stream, ends)) == stream

    def test_moments_are_those_of_content(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        events = [event + b"\n\n" for event in DEEPSEEK.split(b"\n\n") if event]
        for second, event in enumerate(events):
            reader.feed(event, float(second**2))
        reader.finish()
        facts = reader.facts
        assert (facts.first_token_at, facts.first_answer_at, facts.last_token_at) == (4.0, 9.0, 9.0)
        assert facts.max_token_gap == 5.0

    def test_one_token_has_no_gap(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        follow(reader, [LLAMA_CPP])
        assert reader.facts.max_token_gap is None

    def test_an_event_of_several_lines_and_comments(self) -> None:
        stream = (
            b": hello\n\nid: 1\nevent: x\n"
            b'data: {"model":"m",\ndata: "choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
            b'data:{"choices":[],\ndata:"usage":{"prompt_tokens":3}}\n\ndata:[DONE]\n\n'
        )
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        given = follow(reader, in_pieces(stream, range(len(stream))))
        assert given == stream.replace(b'data:{"choices":[],\ndata:"usage":{"prompt_tokens":3}}\n\n', b"")
        assert (reader.facts.model, reader.facts.content_chunks, reader.facts.ended) == ("m", 1, True)
        assert reader.facts.usage is not None
        assert reader.facts.usage.prompt_tokens == 3

    @pytest.mark.parametrize(
        "event",
        [
            sse('{"choices":[{"delta":{"content":"\\"usage\\":null, \\"usage\\": {}"}}]}'),
            sse('{"choices":[{"delta":{"content":"x"},"usage":1}]}'),
            sse('{"prompt_filter_results":[],"choices":[]}'),
            sse('"usage":null'),
            sse('{"usage":null'),
            b"event: usage\n\n",
            b': "usage":null\n\n',
        ],
    )
    def test_what_only_looks_like_usage_stays(self, event: bytes) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        assert follow(reader, [event]) == event

    @pytest.mark.parametrize(
        ("with_usage", "without"),
        [
            ('{"usage":null,"choices":[1]}', '{"choices":[1]}'),
            ('{"choices":[1],"usage":null}', '{"choices":[1]}'),
            ('{"choices":[1], "usage" : null }', '{"choices":[1] }'),
            ('{"a":1,"usage":null,"choices":[1]}', '{"a":1,"choices":[1]}'),
            (
                '{"choices":[],"prompt_filter_results":[],"usage":null}',
                '{"choices":[],"prompt_filter_results":[]}',
            ),
        ],
    )
    def test_a_null_is_taken_out_exactly(self, with_usage: str, without: str) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        assert follow(reader, [sse(with_usage)]) == sse(without)

    def test_an_end_without_done_is_no_end(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        stream = OPENAI.removesuffix(b"data: [DONE]\n\n")
        assert follow(reader, [stream]) == OPENAI_WITHOUT.removesuffix(b"data: [DONE]\n\n")
        assert not reader.facts.ended
        assert summary(reader.facts) == EXPECTED["openai"][2]

    def test_a_done_without_an_empty_line_is_one(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        stream = OLLAMA.removesuffix(b"\n\n")
        assert follow(reader, [stream[:-3], stream[-3:]]).endswith(b"data: [DONE]")
        assert reader.facts.ended

    @pytest.mark.parametrize(
        ("document", "error_type", "message"),
        [
            ('{"error":{"message":"m","type":"t","code":"c"}}', "c", "m"),
            ('{"error":{"message":"m","type":"t","code":null}}', "t", "m"),
            ('{"error":{"message":"m","code":500}}', "stream_error", "m"),
            ('{"error":"overloaded"}', "stream_error", "overloaded"),
        ],
    )
    def test_an_error_event(self, document: str, error_type: str, message: str) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        follow(reader, [sse('{"choices":[{"delta":{"content":"x"}}]}', document, "[DONE]")])
        assert (reader.facts.error_type, reader.facts.error_message) == (error_type, message)

    def test_words_about_errors_are_none(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        follow(
            reader,
            [sse('{"choices":[{"delta":{"content":"the \\"error\\":{} key"}}],"error":null}', "[DONE]")],
        )
        assert reader.facts.error_type is None

    def test_what_broke_off_is_read_as_far_as_it_came(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        end = VLLM.index(b'"content":" c"')
        given = b"".join(reader.feed(piece, 0.0) for piece in in_pieces(VLLM[:end], range(0, end, 50)))
        reader.abandon()
        assert VLLM.startswith(given)
        assert reader.facts.usage is not None
        assert reader.facts.usage.completion_tokens == 2
        assert not reader.facts.ended

    def test_an_event_without_an_end_is_passed_on_within_a_bound(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        given = sum(len(reader.feed(b"x" * 10_000, 0.0)) for _ in range(100))
        assert given > 900_000
        assert not reader.between_events

    def test_only_between_events_may_one_of_ours_follow(self) -> None:
        reader = DIALECT.reader(stream=True, added=Added.LAST)
        assert reader.between_events
        for piece in in_pieces(OLLAMA, range(0, len(OLLAMA), 11)):
            reader.feed(piece, 0.0)
            assert reader.between_events
        error = upstream_failed("upstream_disconnected", "gone")
        assert DIALECT.stream_error(error) == b"data: " + error.body() + b"\n\n"


PLAIN: Final = {
    "id": "c",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"content": 'the "usage":{"x":1}'}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11},
}


class TestPlainAnswers:
    @given(st.lists(st.integers(0, 300), max_size=9), st.booleans())
    def test_any_split_gives_the_same(self, ends: list[int], indented: bool) -> None:
        body = json.dumps(PLAIN, indent=2 if indented else None).encode()
        reader = DIALECT.reader(stream=False, added=Added.NOTHING)
        assert follow(reader, in_pieces(body, ends)) == body
        assert (reader.facts.model, reader.facts.finish_reason) == ("gpt-4o", "stop")
        assert reader.facts.usage is not None
        assert reader.facts.usage.total_tokens == 11
        assert (reader.facts.content_chunks, reader.facts.last_token_at) == (None, None)

    @pytest.mark.parametrize("filling", [b"x", b'\\"usage\\":{\\"prompt_tokens\\":1}'])
    def test_a_very_large_one_is_read_at_its_ends(self, filling: bytes) -> None:
        head, tail = json.dumps(PLAIN).encode().split(b"the ")
        body = head + filling * (3_000_000 // len(filling)) + tail
        reader = DIALECT.reader(stream=False, added=Added.NOTHING)
        assert follow(reader, in_pieces(body, range(0, len(body), 65_536))) == body
        assert reader.facts.model == "gpt-4o"
        assert reader.facts.finish_reason == "stop"
        assert reader.facts.usage is not None
        assert reader.facts.usage.prompt_tokens == 7

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"null", b"[]", b'"x"', b"{", b'{"usage":', b"\xff" * 50]
    )
    def test_anything_else_says_nothing(self, body: bytes) -> None:
        for ending in ("finish", "abandon"):
            reader = DIALECT.reader(stream=False, added=Added.NOTHING)
            assert reader.feed(body, 1.0) == body
            getattr(reader, ending)()
            assert (reader.facts.model, reader.facts.usage) == (None, None)


class TestRequests:
    @pytest.mark.parametrize(
        ("document", "model", "stream", "user", "asked"),
        [
            ({"model": "m"}, "m", False, None, False),
            ({"model": "m", "stream": True, "user": "ada"}, "m", True, "ada", False),
            ({"metadata": {"user_id": "bob"}, "user": ""}, None, False, "bob", False),
            ({"stream": True, "stream_options": {"include_usage": True}}, None, True, None, True),
            ({"stream": True, "stream_options": {"include_usage": 1}}, None, True, None, False),
            ({"model": 7, "stream": "yes", "user": {}, "metadata": 3}, None, False, None, False),
        ],
    )
    def test_facts(
        self, document: dict[str, Any], model: str | None, stream: bool, user: str | None, asked: bool
    ) -> None:
        facts = DIALECT.read_request(json.dumps(document).encode())
        assert (facts.model, facts.stream, facts.user, facts.usage_asked) == (model, stream, user, asked)

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"7", b"nul", b'{"model":"m"', b'{"model":"m"}x', b"\xef\xbb\xbf{}"]
    )
    def test_what_is_no_object(self, body: bytes) -> None:
        with pytest.raises(UnreadableBodyError, match=r"^The request body "):
            DIALECT.read_request(body)

    def test_untouched_where_nothing_is_to_be_asked(self) -> None:
        documents: list[dict[str, Any]] = [
            {"model": "m"},
            {"model": "m", "stream": False, "stream_options": {}},
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream": True, "stream_options": "odd"},
            {"stream": True, "stream_options": [1]},
        ]
        for document in documents:
            body = json.dumps(document, indent=3).encode()
            facts = DIALECT.read_request(body)
            assert DIALECT.prepare(body, facts, Added.LAST) == (body, Added.NOTHING)


_text = st.text('ab 9é🙂"\\{}[]:,\n', max_size=9)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.sampled_from([0.5, -1e30]) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_options = st.none() | st.dictionaries(
    st.sampled_from(["include_usage", "continuous_usage_stats", "x"]), _json | st.just(True)
)


@given(
    members=st.dictionaries(st.sampled_from(["model", "messages", "tools", "é", "x y"]), _json),
    options=st.just(...) | _options,
    may=st.sampled_from([Added.NOTHING, Added.LAST, Added.LAST | Added.EACH]),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    stream_first=st.booleans(),
)
def test_asking_for_usage_changes_nothing_else(
    members: dict[str, Any],
    options: Any,
    may: Added,
    indent: int | None,
    ascii_only: bool,
    stream_first: bool,
) -> None:
    document = {"stream": True, **members} if stream_first else {**members, "stream": True}
    if options is not ...:
        document["stream_options"] = options
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    facts = DIALECT.read_request(body)
    prepared, added = DIALECT.prepare(body, facts, may)
    given = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
    asked = {name: given.get(name) is True for name in ("include_usage", "continuous_usage_stats")}
    wanted = {"include_usage": Added.LAST in may, "continuous_usage_stats": Added.EACH in may}
    more = {name: True for name in asked if wanted[name] and not asked[name]}
    assert bool(added) == bool(more)
    assert (Added.LAST in added) == ("include_usage" in more)
    # The client gets no counts with each chunk unless it asked for both.
    assert (Added.EACH in added) == (bool(more) and _gets_each(given, more))
    if not more:
        assert prepared == body
        return
    found = json.loads(prepared)
    assert found.pop("stream_options") == {**given, **more}
    document.pop("stream_options", None)
    assert found == document
    if options is ...:
        added_text = '"stream_options":' + json.dumps(more, separators=(",", ":")) + ","
        assert prepared.replace(added_text.encode(), b"", 1) == body
    else:
        at = body.rindex(b'"stream_options"')
        assert prepared.startswith(body[:at]), "what stands before the options keeps its bytes"


def _gets_each(given: dict[str, Any], more: dict[str, bool]) -> bool:
    """Whether counts come with each chunk now that did not come before."""
    after = {**given, **more}
    before = given.get("include_usage") is True and given.get("continuous_usage_stats") is True
    return after.get("include_usage") is True and after.get("continuous_usage_stats") is True and not before

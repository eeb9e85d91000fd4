"""Usage that only we asked for: what each server sends with it, and to the byte what it sends without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.transport import in_pieces

from weir.proxy.providers.openai import OpenAI
from weir.proxy.providers.provider import Added

if TYPE_CHECKING:
    from weir.proxy.exchange import AnswerFacts

LAST, BOTH, EACH = Added.LAST, Added.LAST | Added.EACH, Added.EACH
DONE: Final = "data: [DONE]\n\n"


class Server(NamedTuple):
    """What one sends when asked by us, and when asked by its client alone."""

    added: Added
    asked: str
    unasked: str
    prompt: int = 5
    completion: int = 3
    cached: int | None = None


def sse(*documents: str) -> str:
    return "".join(f"data: {document}\n\n" for document in documents) + DONE


def vllm_chat(*, each: bool, last: bool) -> str:
    """Members that were not set are not written; `usage` stands last."""
    start = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"llama","choices":['
    counts = [(5, 0), (5, 2), (5, 3)]
    deltas = [
        '{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]',
        '{"index":0,"delta":{"content":"a b"},"logprobs":null,"finish_reason":null}]',
        '{"index":0,"delta":{"content":" c"},"logprobs":null,"finish_reason":"length","stop_reason":null}]',
    ]
    usages = [
        f',"usage":{{"prompt_tokens":{given},"total_tokens":{given + made},"completion_tokens":{made}}}'
        for given, made in counts
    ]
    chunks = [start + delta + (usages[at] if each else "") + "}" for at, delta in enumerate(deltas)]
    return sse(*chunks, *([start + "]" + usages[2] + "}"] if last else []))


def vllm_text(*, each: bool, last: bool) -> str:
    """Completions write a null where there is nothing."""
    start = '{"id":"c","object":"text_completion","created":1,"model":"llama","choices":['
    usage = '{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3,"prompt_tokens_details":null}'
    choice = (
        '{"index":0,"text":"a b c","logprobs":null,"finish_reason":null,"stop_reason":null,'
        '"prompt_token_ids":null,"token_ids":null}]'
    )
    chunk = start + choice + ',"usage":' + (usage if each else "null") + "}"
    total = '{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3}'
    return sse(chunk, *([start + f'],"usage":{total}}}'] if last else []))


def sglang(*, last: bool) -> str:
    start = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"qwen","choices":['
    choice = (
        '{"index":0,"delta":{"role":null,"content":"abc","tool_calls":null},"logprobs":null,'
        '"finish_reason":"stop","matched_stop":151645}]'
    )
    usage = (
        '{"prompt_tokens":5,"total_tokens":8,"completion_tokens":3,"prompt_tokens_details":'
        '{"cached_tokens":4},"reasoning_tokens":0}'
    )
    return sse(f'{start}{choice},"usage":null}}', *([f'{start}],"usage":{usage}}}'] if last else []))


def llama_cpp(*, last: bool, timings: bool = True) -> str:
    """As server-task.cpp writes a stream: whatever chunk is the last one carries the timings."""
    base = (
        '"created":1,"id":"c","model":"tiny","system_fingerprint":"b7000-1a2b3c4",'
        '"object":"chat.completion.chunk"'
    )
    chunks = [
        '{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],' + base,
        '{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],' + base,
        '{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],' + base,
    ]
    if last:
        usage = ',"usage":{"completion_tokens":3,"prompt_tokens":5,"total_tokens":8}'
        chunks.append('{"choices":[],' + base + usage)
    if timings:
        chunks[-1] += (
            ',"timings":{"cache_n":4,"prompt_n":1,"prompt_ms":12.5,"prompt_per_token_ms":12.5,'
            '"predicted_n":3,"predicted_ms":30.25,"predicted_per_second":99.2}'
        )
    return sse(*(chunk + "}" for chunk in chunks))


def spaced(*, last: bool) -> str:
    """As Python's json.dumps writes, with a null in every chunk when usage is asked for."""
    null = ', "usage": null' if last else ""
    start = '{"id": "c", "model": "m", "choices": ['
    usage = '{"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}'
    chunk = start + '{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]' + null + "}"
    return sse(chunk, *([f'{start}], "usage": {usage}}}'] if last else []))


def obfuscated(*, last: bool) -> str:
    """OpenAI's: usage is not the last member."""
    null = '"usage":null,' if last else ""
    start = '{"id":"c","object":"chat.completion.chunk","model":"gpt","choices":['
    usage = '{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}'
    chunk = (
        start + '{"index":0,"delta":{"content":"a"},"finish_reason":null}],' + null + '"obfuscation":"p9"}'
    )
    return sse(chunk, *([f'{start}],"usage":{usage},"obfuscation":"x}}"}}'] if last else []))


SERVERS: Final = {
    "vllm-chat": Server(BOTH, vllm_chat(each=True, last=True), vllm_chat(each=False, last=False)),
    "vllm-chat-usage-wanted": Server(EACH, vllm_chat(each=True, last=True), vllm_chat(each=False, last=True)),
    "vllm-chat-end": Server(LAST, vllm_chat(each=False, last=True), vllm_chat(each=False, last=False)),
    "vllm-token-ids": Server(
        BOTH,
        vllm_chat(each=True, last=True).replace("}}\n", '},"prompt_token_ids":[1,2]}\n'),
        vllm_chat(each=False, last=False).replace("null}]}\n", 'null}],"prompt_token_ids":[1,2]}\n'),
    ),
    "vllm-text": Server(BOTH, vllm_text(each=True, last=True), vllm_text(each=False, last=False)),
    "vllm-text-end": Server(LAST, vllm_text(each=False, last=True), vllm_text(each=False, last=False)),
    "vllm-text-usage-wanted": Server(EACH, vllm_text(each=True, last=True), vllm_text(each=False, last=True)),
    "sglang": Server(LAST, sglang(last=True), sglang(last=False), cached=4),
    "llama.cpp": Server(LAST, llama_cpp(last=True), llama_cpp(last=False), cached=4),
    "llama.cpp-no-git": Server(
        LAST,
        llama_cpp(last=True).replace("b7000-1a2b3c4", "b0-unknown"),
        llama_cpp(last=False).replace("b7000-1a2b3c4", "b0-unknown"),
        cached=4,
    ),
    "llama.cpp-untimed": Server(
        LAST, llama_cpp(last=True, timings=False), llama_cpp(last=False, timings=False)
    ),
    "spaced": Server(LAST, spaced(last=True), spaced(last=False)),
    "obfuscated": Server(LAST, obfuscated(last=True), obfuscated(last=False)),
}


def follow(added: Added, stream: str, ends: list[int]) -> tuple[str, AnswerFacts]:
    reader = OpenAI().reader(stream=True, added=added)
    pieces = in_pieces(stream.encode(), ends)
    out = b"".join([*(reader.feed(piece, 1.0) for piece in pieces), reader.finish()])
    return out.decode(), reader.facts


@pytest.mark.parametrize("name", SERVERS)
@given(ends=st.lists(st.integers(0, 1200), max_size=12), end=st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]))
def test_the_client_gets_what_it_asked_for(name: str, ends: list[int], end: str) -> None:
    server = SERVERS[name]
    out, facts = follow(server.added, server.asked.replace("\n\n", end), ends)
    assert out == server.unasked.replace("\n\n", end)
    assert facts.usage is not None
    assert (facts.usage.prompt_tokens, facts.usage.completion_tokens) == (server.prompt, server.completion)
    assert facts.usage.cache_read_tokens == server.cached
    assert facts.ended


@pytest.mark.parametrize("name", SERVERS)
def test_event_by_event_nothing_waits_but_what_must(name: str) -> None:
    """Only llama.cpp's finishing chunk waits for the next, which is on its way already."""
    server = SERVERS[name]
    reader = OpenAI().reader(stream=True, added=server.added)
    waited: list[str] = []
    for event in server.asked.split("\n\n")[:-1]:
        given = reader.feed(f"{event}\n\n".encode(), 1.0)
        if not given and '"choices":[]' not in event and '"choices": []' not in event:
            waited.append(event)
    assert len(waited) == (1 if name.startswith("llama.cpp") else 0)
    assert all('"finish_reason":"stop"' in event for event in waited)


def test_a_finishing_chunk_goes_out_if_nothing_follows() -> None:
    stream = llama_cpp(last=False, timings=False).removesuffix(DONE)
    assert follow(LAST, stream, [])[0] == stream
    assert follow(LAST, stream.removesuffix("\n\n"), [10, 300])[0] == stream.removesuffix("\n\n")


def test_timings_are_kept_with_the_counts() -> None:
    facts = follow(LAST, llama_cpp(last=True), [])[1]
    assert facts.usage is not None
    assert facts.usage.raw == {"prompt_ms": 12.5, "predicted_ms": 30.25}
    reader = OpenAI().reader(stream=False, added=Added.NOTHING)
    answer: dict[str, Any] = {
        "model": "tiny",
        "choices": [{"finish_reason": "stop", "message": {"content": "Hi"}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
        "timings": {"cache_n": 4, "prompt_n": 1, "prompt_ms": 12.5, "predicted_n": 3, "predicted_ms": 30.25},
    }
    reader.feed(json.dumps(answer).encode(), 1.0)
    reader.finish()
    assert reader.facts.usage == facts.usage


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_stream_that_breaks_off_has_exact_counts(cut: int) -> None:
    events = vllm_chat(each=True, last=True).split("\n\n")
    reader = OpenAI().reader(stream=True, added=BOTH)
    out = reader.feed(("\n\n".join(events[:cut]) + '\n\ndata: {"id":"c","obj').encode(), 1.0)
    reader.abandon()
    assert b"usage" not in out
    assert reader.facts.usage is not None
    assert (reader.facts.usage.prompt_tokens, reader.facts.usage.completion_tokens) == (5, (0, 2, 3)[cut - 1])
    assert not reader.facts.ended


def chunk_of(index: int, made: int, kind: str = "chat.completion.chunk") -> bytes:
    return (
        f'data: {{"object":"{kind}","choices":[{{"index":{index},"delta":{{"content":"x"}}}}],'
        f'"usage":{{"prompt_tokens":5,"total_tokens":{5 + made},"completion_tokens":{made}}}}}\n\n'
    ).encode()


@pytest.mark.parametrize(("kind", "prompt"), [("chat.completion.chunk", 5), ("text_completion", None)])
def test_of_several_choices_each_counts_its_own(kind: str, prompt: int | None) -> None:
    """The prompt of several texts cannot be told: each may have its own."""
    reader = OpenAI().reader(stream=True, added=BOTH)
    for index, made in ((0, 1), (1, 1), (0, 2), (1, 4)):
        reader.feed(chunk_of(index, made, kind), 1.0)
    reader.abandon()
    assert reader.facts.usage is not None
    assert (reader.facts.usage.prompt_tokens, reader.facts.usage.completion_tokens) == (prompt, 6)


def test_counts_of_more_choices_than_there_can_be_take_no_more_memory() -> None:
    reader = OpenAI().reader(stream=True, added=BOTH)
    for index in range(2000):
        reader.feed(chunk_of(index, 1), 1.0)
    reader.abandon()
    assert reader.facts.usage is not None
    assert (reader.facts.usage.completion_tokens or 0) < 1000


@pytest.mark.parametrize(
    "document",
    [
        '{"choices":[{"delta":{"content":"x"},"usage":{"a":1}}]}',
        '{"choices":[{"delta":{"content":"usage"}}],"n":"usage"}',
        '{"choices":[{"delta":{"content":"\\"usage\\":{}"}}],"m":{"usage":null}}',
        '{"choices":[],"usage":7}',
    ],
)
@pytest.mark.parametrize("added", [LAST, BOTH])
def test_what_only_looks_like_usage_stays(document: str, added: Added) -> None:
    assert follow(added, sse(document), [])[0] == sse(document)

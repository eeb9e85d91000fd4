"""Of an upstream's words about an error, what may be kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.proxy.metering.redaction import HIDDEN, MOST_COMPARED, NOT_COMPARED, SHORTEST, redacted

PROMPT = "Tell me nothing of Grüße and 🌊 to my wife."


def sent(*, escaped: bool = False, **fields: object) -> bytes:
    body = json.dumps({"model": "llama3", **fields}, ensure_ascii=escaped)
    return f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (None, None),
        ("", None),
        ("Incorrect API key provided: sk-abcd1234.", "Incorrect API key provided: sk-***"),
        ("sk-proj-a_b*c and hf_abcdefgh", "sk-*** and hf_***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("bearer  x", "bearer  ***"),
        ("a\x00b\nc\x7f", "a b c "),
        ("lone \ud800 surrogate", "lone   surrogate"),
        ("risk-free desk-top", "risk-free desk-top"),
    ],
)
def test_no_key_and_no_control_character_is_kept(message: str | None, kept: str | None) -> None:
    assert redacted(message) == kept


@pytest.mark.parametrize("escaped", [True, False])
def test_a_prompt_that_is_repeated_is_hidden(escaped: bool) -> None:
    request = sent(escaped=escaped, messages=[{"role": "user", "content": PROMPT}])
    kept = redacted(f"1 validation error, input: {PROMPT} (missing field)", request)
    assert kept is not None
    assert kept.startswith("1 validation error, i")
    assert kept.endswith("ing field)")
    assert HIDDEN in kept
    assert not any(word in kept for word in PROMPT.split() if len(word) > 3)


def test_a_key_of_any_form_that_is_repeated_is_hidden() -> None:
    request = b"POST / HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdefghij\r\n\r\n{}"
    kept = redacted("Incorrect API key provided: 0123456789abcdefghij. Find yours elsewhere.", request)
    assert kept is not None
    assert "0123" not in kept
    assert "ghij" not in kept
    assert kept.startswith("Incorrect API key pro")


@pytest.mark.parametrize(
    "message",
    [
        "The model `llama3-70b-instruct-q4` does not exist or you do not have access to it.",
        "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
        "Invalid type for 'messages[0].content': expected a string, but got an object instead.",
        "Rate limit reached for llama3-70b-instruct-q4 in organization org-1 on tokens per min.",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
    ],
)
def test_what_says_what_was_wrong_is_kept(message: str) -> None:
    name = "llama3-70b-instruct-q4"
    request = sent(model=name, messages=[{"role": "user", "content": PROMPT}], max_tokens=4)
    assert redacted(message, request, (name,)) == message


def test_what_is_quoted_is_kept_only_if_it_is_a_name() -> None:
    said = """cannot go on after 'two words' and "it\'s more", only `a.name` and 'messages[0]'"""
    assert redacted(said, sent()) == """cannot go on after '***' and "***", only `a.name` and 'messages[0]'"""


def test_of_the_answer_to_a_giant_request_nothing_is_kept() -> None:
    assert redacted("x", b"y" * (MOST_COMPARED + 1)) == NOT_COMPARED
    assert redacted("x", None) == NOT_COMPARED
    assert redacted(None, None) is None
    assert redacted("a" * 9000, b"a" * MOST_COMPARED) == HIDDEN


@given(
    secret=st.text(
        st.characters(codec="utf-8", exclude_characters="\\\"'`*"), min_size=SHORTEST, max_size=60
    ),
    before=st.text(st.characters(codec="ascii"), max_size=30),
    after=st.text(max_size=30),
    padding=st.integers(0, 20),
)
def test_whatever_is_long_enough_is_hidden_wherever_it_stands(
    secret: str, before: str, after: str, padding: int
) -> None:
    request = b"p" * padding + json.dumps({"content": secret}).encode()
    kept = redacted(before + secret + after, request) or ""
    plain = "".join(
        " " if ord(character) < 32 or ord(character) == 127 else character for character in secret
    )
    for place in range(len(plain) - SHORTEST + 1):
        piece = plain[place : place + SHORTEST]
        assert piece not in kept or piece in before + after

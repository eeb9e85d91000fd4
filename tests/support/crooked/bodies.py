"""Whole answers whose JSON is at its edges: the client gets them to the byte, whatever usage they tell."""

from __future__ import annotations

from typing import Final

from tests.support.crooked.misdeed import JSON, Misdeed, head, passed, whole


def _body(name: str, body: bytes) -> Misdeed:
    return passed(f"a body {name}", whole(body), body=body)


def _usage(text: bytes) -> Misdeed:
    return _body(f"with a usage of {text[:40].decode('latin-1')}", b'{"model":"m","usage":' + text + b"}")


BODIES: Final = (
    _body("that is empty", b""),
    _body("that is no JSON", b"<html></html>"),
    _body("that breaks off", b'{"model":"m'),
    _body("of brackets without end", b"[" * 50_000),
    _body("nested in its usage", b'{"usage":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}"),
    _body("with invalid UTF-8", b'{"model":"\xff\xfe","usage":{"prompt_tokens":1}}'),
    _body("with lone surrogates", b'{"model":"\\ud800","usage":{"prompt_tokens":1}}'),
    _body("with a NUL in its model", b'{"model":"a\\u0000b"}'),
    _body("with a model of 100 kB", b'{"model":"' + b"m" * 100_000 + b'"}'),
    _body("with a model that is a list", b'{"model":[1]}'),
    _body(
        "with keys twice",
        b'{"model":"a","model":"b","usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}}',
    ),
    _body("with choices that are no list", b'{"model":"m","choices":{"a":1}}'),
    _body("with a choice that is no object", b'{"model":"m","choices":[null,1,"a",[]]}'),
    _body("with a finish reason that is a number", b'{"model":"m","choices":[{"finish_reason":1}]}'),
    _usage(b"null"),
    _usage(b"[]"),
    _usage(b'"many"'),
    _usage(b'{"prompt_tokens":-1,"completion_tokens":-5}'),
    _usage(b'{"prompt_tokens":1.5,"completion_tokens":true}'),
    _usage(b'{"prompt_tokens":"7"}'),
    _usage(b'{"prompt_tokens":' + b"9" * 400 + b"}"),
    _usage(b'{"prompt_tokens":9223372036854775808}'),
    _usage(b'{"prompt_tokens":1e999,"completion_tokens":1e3}'),
    _usage(b'{"prompt_tokens":1,"prompt_tokens_details":[1],"completion_tokens_details":"x"}'),
    _usage(b'{"prompt_tokens":1,"completion_tokens":2,"x":"' + b"y" * 5000 + b'"}'),
    passed(
        "a body of another type",
        head(b"Content-Type: image/png", b"Content-Length: 4") + b"\x89PNG",
        body=b"\x89PNG",
    ),
    passed("a body without a type", head(b"Content-Length: 2") + b"{}", body=b"{}"),
    passed(
        "a body with two types",
        head(JSON, b"Content-Type: text/html", b"Content-Length: 2") + b"{}",
        body=b"{}",
    ),
)

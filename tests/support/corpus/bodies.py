"""Bodies: JSON at its edges passes to the byte or is refused, and never fails the proxy."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import MARK, Case, request, seen, taken, turned_away

_TYPE: Final = b"Content-Type: application/json"
_DEEP: Final = 20_000


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def _passes(name: str, body: bytes) -> Case:
    return taken(f"a body {name}", request(_TYPE, _length(body), body=body), seen(_TYPE, body=body))


def _unreadable(name: str, body: bytes) -> Case:
    """Refused, but the connection is whole and goes on."""
    return turned_away(f"a body {name}", request(_TYPE, _length(body), body=body), 400)


def _form(name: str, content_type: bytes, body: bytes) -> Case:
    line = b"POST /v1/audio/transcriptions HTTP/1.1"
    return taken(
        f"a form {name}",
        request(content_type, _length(body), line=line, body=body),
        seen(content_type, line=line, body=body),
    )


_PART: Final = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'

BODIES: Final = (
    _passes("with a key twice", b'{"model":"a","model":"m","stream":false,"stream":false}'),
    _passes("with huge numbers", b'{"model":"m","n":' + b"9" * 5000 + b',"x":1e999999,"y":-1e-999999}'),
    _unreadable("with lone surrogates", b'{"model":"m","x":"\\ud800","y":"\\udc00\\ud800"}'),
    _passes("with NUL in a string", b'{"model":"m","x":"\\u0000"}'),
    _passes("with an escaped key", b'{"\\u006dodel":"m"}'),
    _passes("with white space around it", b' \r\n\t{ "model" : "m" }\n\n '),
    _passes("with a model of odd letters", b'{"model":"\\r\\nX-Injected: 1"}'),
    _passes("with a long model", b'{"model":"' + b"m" * 5000 + b'"}'),
    _passes("with a model in a nested place", b'{"model":"m","x":{"model":"not me"}}'),
    _passes("nested, but not too deep", b'{"model":"m","x":' + b"[" * 100 + b"]" * 100 + b"}"),
    _unreadable("nested without end", b'{"model":"m","x":' + b"[" * _DEEP + b"]" * _DEEP + b"}"),
    _unreadable(
        "of objects nested without end", b'{"model":"m","x":' + b'{"a":' * _DEEP + b"1" + b"}" * _DEEP + b"}"
    ),
    _passes("without a model", b"{}"),
    _passes("whose model is null", b'{"model":null}'),
    _passes("with a stream that is null", b'{"model":"m","stream":null}'),
    _unreadable("that is empty", b""),
    _unreadable("of white space", b"  "),
    _unreadable("that breaks off", b'{"model":"m","x":"' + MARK),
    _unreadable("of two values", b'{"model":"m"}{"model":"' + MARK + b'"}'),
    _unreadable("of brackets that nest without end", b"[" * _DEEP),
    _unreadable("that is a list", b'["' + MARK + b'"]'),
    _unreadable("that is a string", b'"' + MARK + b'"'),
    _unreadable("that is null", b"null"),
    _unreadable("that is a number", b"1e400"),
    _unreadable("that is no JSON", b"model=m&x=" + MARK),
    _unreadable("in UTF-16", '{"model":"m"}'.encode("utf-16")),
    _unreadable("with a byte order mark", b'\xef\xbb\xbf{"model":"m"}'),
    _unreadable("with a comment", b'{"model":"m"/* ' + MARK + b" */}"),
    _unreadable("with NaN", b'{"model":"m","x":NaN}'),
    _passes("whose model is a number", b'{"model":12345}'),
    _passes("whose model is a list", b'{"model":["' + MARK + b'"]}'),
    _unreadable("with invalid UTF-8 in its model", b'{"model":"\xff\xfe"}'),
    _unreadable("that is compressed", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + MARK),
    _form("with its fields", b"Content-Type: multipart/form-data; boundary=b", _PART + b"--b--\r\n"),
    _form("without an end", b"Content-Type: multipart/form-data; boundary=b", _PART),
    _form("without a boundary", b"Content-Type: multipart/form-data", _PART + b"--b--\r\n"),
    _form("of something else", b"Content-Type: text/plain", MARK),
    _form(
        "of nothing but its boundaries", b"Content-Type: multipart/form-data; boundary=b", b"--b\r\n" * 2000
    ),
    Case(
        "a body for a GET is framed and goes nowhere",
        request(b"Content-Length: 16", line=b"GET /v1/models HTTP/1.1", body=MARK),
        (200,),
        kept=True,
        forwarded=(seen(line=b"GET /v1/models HTTP/1.1", body=None),),
    ),
    Case(
        "a chunked body for a GET, too",
        request(
            b"Transfer-Encoding: chunked",
            line=b"GET /v1/models HTTP/1.1",
            body=b"10\r\n" + MARK + b"\r\n0\r\n\r\n",
        ),
        (200,),
        kept=True,
        forwarded=(seen(line=b"GET /v1/models HTTP/1.1", body=None),),
    ),
)

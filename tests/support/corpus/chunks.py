"""Chunks: sizes, extensions, line ends and trailers, as strict as the head."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import BODY, CHUNKED, SMUGGLED, Case, refused, request, seen, taken

_N: Final = len(BODY)
_LAST: Final = b"0\r\n\r\n"
_TRAILED: Final = b"%x\r\n%b\r\n0\r\n%%b\r\n" % (_N, BODY)
_UNMARKED: Final = b'{"model":"m"}'


def _chunks(data: bytes) -> bytes:
    return request(CHUNKED, body=data)


def _size(name: str, line: bytes) -> Case:
    """A chunk whose size line is wrong, then what could be smuggled."""
    return refused(f"chunk size {name}", _chunks(line + b"\r\n" + BODY + b"\r\n" + _LAST + SMUGGLED))


def _extension(name: str, extension: bytes) -> Case:
    return refused(f"chunk extension {name}", _chunks(b"%x%b\r\n%b\r\n0\r\n\r\n" % (_N, extension, BODY)))


def _trailer(name: str, trailer: bytes) -> Case:
    return refused(f"trailer {name}", _chunks(b"%x\r\n%b\r\n0\r\n%b\r\n" % (_N, BODY, trailer) + SMUGGLED))


def _good(name: str, data: bytes) -> Case:
    return taken(f"chunks {name}", _chunks(data), seen())


CHUNKS: Final = (
    _size("with plus", b"+%x" % _N),
    _size("with minus", b"-%x" % _N),
    _size("with 0x", b"0x%x" % _N),
    _size("with h", b"%xh" % _N),
    _size("after a space", b" %x" % _N),
    _size("before a space", b"%x " % _N),
    _size("after a tab", b"\t%x" % _N),
    _size("with an underscore", b"1_0"),
    _size("with a decimal point", b"5.0"),
    _size("empty", b""),
    _size("of no digits", b"xyz"),
    _size("in quotes", b'"5"'),
    _size("beyond 64 bits", b"1" + b"0" * 16),
    _size("beyond everything", b"f" * 300),
    _size("with NUL", b"%x\x00" % _N),
    _size("in fullwidth digits", b"\xef\xbc\x95"),
    Case("chunk size larger than any body", _chunks(b"7fffffffffffffff\r\n" + BODY), (), leaves=True),
    Case("chunk size of all ones", _chunks(b"ffffffffffffffff\r\n" + BODY), (), leaves=True),
    # line ends
    refused("chunk size with bare LF", _chunks(b"%x\n%b\r\n" % (_N, BODY) + _LAST)),
    refused("chunk size with bare CR", _chunks(b"%x\r%b\r\n" % (_N, BODY) + _LAST)),
    refused("chunk size with CR CR LF", _chunks(b"%x\r\r\n%b\r\n" % (_N, BODY) + _LAST)),
    refused("chunk data with bare LF after it", _chunks(b"%x\r\n%b\n" % (_N, BODY) + _LAST)),
    refused("chunk data with bare CR after it", _chunks(b"%x\r\n%b\r" % (_N, BODY) + _LAST)),
    refused("chunk data without an end", _chunks(b"%x\r\n%b" % (_N, BODY) + _LAST)),
    refused("chunk data longer than said", _chunks(b"%x\r\n%bXX" % (_N, BODY) + _LAST)),
    refused("chunk data shorter than said", _chunks(b"%x\r\n%b\r\n" % (_N + 3, BODY) + _LAST + SMUGGLED)),
    refused("an empty line before a chunk size", _chunks(b"\r\n%x\r\n%b\r\n" % (_N, BODY) + _LAST)),
    refused("last chunk with bare LF", _chunks(b"%x\r\n%b\r\n0\n\r\n" % (_N, BODY) + SMUGGLED)),
    refused("last chunk ended by bare LF", _chunks(b"%x\r\n%b\r\n0\r\n\n" % (_N, BODY) + SMUGGLED)),
    refused("last chunk ended by bare CR", _chunks(b"%x\r\n%b\r\n0\r\n\r" % (_N, BODY) + SMUGGLED)),
    refused("last chunk without an end", _chunks(b"%x\r\n%b\r\n0\r\n" % (_N, BODY) + SMUGGLED)),
    # extensions
    _extension("with bare LF", b";a\nb"),
    _extension("with bare LF at its end", b";a=b\n"),
    _extension("with bare CR", b";a\rb"),
    _extension("with LF in quotes", b';a="\n"'),
    _extension("with CR LF in quotes", b';a="\r\n0\r\n\r\n"'),
    _extension("with quotes that do not end", b';a="b'),
    _extension("with NUL", b";a=\x00"),
    _extension("with a control character", b";a=\x01"),
    _extension("with DEL", b";a=\x7f"),
    _extension("beyond ASCII", b";a=\xe9"),
    _extension("empty", b";"),
    _extension("after a space", b" ;a=b"),
    _extension("without a semicolon", b" a=b"),
    _extension("of two kilobytes", b";a=" + b"x" * 2048),
    refused(
        "chunk extensions that are small but many", _chunks(b"1;a=bcdefghijklmnopqrstuvwxyz\r\nx\r\n" * 4000)
    ),
    refused("chunk size of a thousand zeros", _chunks(b"0" * 2000 + b"%x\r\n%b\r\n" % (_N, BODY) + _LAST)),
    # trailers
    _trailer("with a space before the colon", b"X-A : b\r\n"),
    _trailer("with no colon", b"X-A\r\n"),
    _trailer("without a name", b": b\r\n"),
    _trailer("folded", b"X-A: b\r\n c\r\n"),
    _trailer("with bare LF", b"X-A: b\n"),
    _trailer("with bare CR", b"X-A: b\rc\r\n"),
    _trailer("with NUL", b"X-A: \x00\r\n"),
    _trailer("with a control character", b"X-A: \x02\r\n"),
    _trailer("that frames", b"Transfer-Encoding: chunked\r\n"),
    _trailer("larger than a head", b"X-A: " + b"x" * 70_000 + b"\r\n"),
    _trailer("of too many fields", b"X-A: b\r\n" * 200),
    # what is well-formed
    _good("in one piece", b"%x\r\n%b\r\n0\r\n\r\n" % (_N, BODY)),
    _good("in capitals", b"%X\r\n%b\r\n0\r\n\r\n" % (_N, BODY)),
    _good("with leading zeros", b"0000%x\r\n%b\r\n0\r\n\r\n" % (_N, BODY)),
    _good("with a last chunk of many zeros", b"%x\r\n%b\r\n00000\r\n\r\n" % (_N, BODY)),
    taken(
        "chunks of a byte each",
        _chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in _UNMARKED) + _LAST),
        seen(body=_UNMARKED),
    ),
    _good("with extensions", b'%x;a;b=c;d="e;\\"f"\r\n%b\r\n0;last=1\r\n\r\n' % (_N, BODY)),
    taken(
        "chunks with trailers, of which some go on",
        _chunks(_TRAILED % b"Authorization: b\r\nX-A: a\r\nContent-Type: b\r\nx-weir-a: b\r\nX-b:  c \r\n"),
        seen(chunks=_TRAILED % b"X-A: a\r\nX-b: c\r\n"),
    ),
    _good("with a trailer named like a key", b"%x\r\n%b\r\n0\r\nAuthorization: b\r\n\r\n" % (_N, BODY)),
)

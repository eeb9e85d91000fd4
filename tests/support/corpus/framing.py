"""How long is the body? Whatever two readers could answer differently is refused."""

from __future__ import annotations

from typing import Final

from tests.support.corpus.case import (
    BODY,
    CHUNKED,
    LENGTH,
    LINE,
    MARK,
    SMUGGLED,
    Case,
    refused,
    request,
    seen,
    taken,
)

_N: Final = len(BODY)
_END: Final = b"0\r\n\r\n"
_AS_CHUNK: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (_N, BODY)


def _length(name: str, value: bytes) -> Case:
    return refused(f"length {name}", request(b"Content-Length:" + value, body=BODY + SMUGGLED))


def _encoding(name: str, *lines: bytes) -> Case:
    return refused(f"encoding {name}", request(*lines, body=_END + SMUGGLED))


FRAMING: Final = (
    # both at once
    refused("length and chunked", request(b"Content-Length: 5", CHUNKED, body=_END + SMUGGLED)),
    refused("chunked and length", request(CHUNKED, b"Content-Length: 5", body=_END + SMUGGLED)),
    refused("chunked and length 0", request(CHUNKED, b"Content-Length: 0", body=_AS_CHUNK)),
    refused("right length and identity", request(LENGTH, b"Transfer-Encoding: identity", body=BODY)),
    refused("length and empty encoding", request(LENGTH, b"Transfer-Encoding:", body=BODY)),
    refused("length and hidden chunked", request(LENGTH, b"Transfer-Encoding:\x0bchunked", body=_AS_CHUNK)),
    refused("length in the trailer", request(CHUNKED, body=b"0\r\nContent-Length: 9\r\n\r\n" + SMUGGLED)),
    # Content-Length
    refused("two lengths that differ", request(LENGTH, b"Content-Length: 5", body=BODY)),
    refused("two lengths, small first", request(b"Content-Length: 5", LENGTH, body=BODY)),
    refused("two equal lengths", request(LENGTH, LENGTH, body=BODY)),
    refused("two lengths in different case", request(LENGTH, LENGTH.lower(), body=BODY)),
    _length("as a list", b" %d, %d" % (_N, _N)),
    _length("as a list without space", b" %d,%d" % (_N, _N)),
    _length("as a list with an empty part", b" %d," % _N),
    _length("with plus", b" +%d" % _N),
    _length("with minus", b" -%d" % _N),
    _length("minus zero", b" -0"),
    _length("in hex", b" 0x%x" % _N),
    _length("in octal", b" 0o17"),
    _length("with a decimal point", b" %d.0" % _N),
    _length("with an exponent", b" 1e1"),
    _length("with an underscore", b" 1_0"),
    _length("with a space inside", b" 3 2"),
    _length("with a tab inside", b" 3\t2"),
    _length("with a vertical tab before", b"\x0b%d" % _N),
    _length("with a quote", b' "%d"' % _N),
    _length("with a semicolon", b" %d;a=b" % _N),
    _length("in letters", b" abc"),
    _length("empty", b""),
    _length("only spaces", b"   "),
    _length("in fullwidth digits", b" \xef\xbc\x95"),
    _length("in superscript of Latin-1", b" \xb2"),
    _length("with NUL", b" 5\x00"),
    _length("beyond 64 bits", b" 18446744073709551621"),
    _length("beyond 63 bits", b" 9223372036854775813"),
    _length("beyond everything", b" " + b"9" * 200),
    Case(
        "a length under a name with an underscore is none",
        request(b"Content_Length: 5", body=b"\x01" + MARK),
        (400, 400),
    ),
    taken("length with leading zeros", request(b"Content-Length: 000%d" % _N, body=BODY), seen()),
    taken("length without a space", request(b"Content-Length:%d" % _N, body=BODY), seen()),
    taken("length after a tab", request(b"Content-Length:\t%d" % _N, body=BODY), seen()),
    taken("length in lower case", request(LENGTH.lower(), body=BODY), seen()),
    # Transfer-Encoding
    _encoding("unknown first", b"Transfer-Encoding: x, chunked"),
    _encoding("chunked not last", b"Transfer-Encoding: chunked, identity"),
    _encoding("chunked twice in a list", b"Transfer-Encoding: chunked, chunked"),
    _encoding("chunked twice", CHUNKED, CHUNKED),
    _encoding("identity, then chunked", b"Transfer-Encoding: identity", CHUNKED),
    _encoding("chunked, then identity", CHUNKED, b"Transfer-Encoding: identity"),
    _encoding("gzip", b"Transfer-Encoding: gzip, chunked"),
    _encoding("identity", b"Transfer-Encoding: identity"),
    _encoding("with something before", b"Transfer-Encoding: xchunked"),
    _encoding("with something after", b"Transfer-Encoding: chunkedx"),
    _encoding("with a parameter", b"Transfer-Encoding: chunked;q=1"),
    _encoding("with a comma after", b"Transfer-Encoding: chunked,"),
    _encoding("with a comma before", b"Transfer-Encoding: ,chunked"),
    _encoding("in quotes", b'Transfer-Encoding: "chunked"'),
    _encoding("empty", b"Transfer-Encoding:"),
    _encoding("after a vertical tab", b"Transfer-Encoding: \x0bchunked"),
    _encoding("with NUL", b"Transfer-Encoding: chunked\x00"),
    _encoding("after a no-break space", b"Transfer-Encoding: \xa0chunked"),
    _encoding("folded", b"Transfer-Encoding:", b" chunked"),
    _encoding("folded before another", b"Transfer-Encoding: chunked", b" , identity"),
    _encoding("with a space before the colon", b"Transfer-Encoding : chunked"),
    _encoding("under a name with a space", b"Transfer Encoding: chunked"),
    refused(
        "chunked in HTTP/1.0",
        request(CHUNKED, line=LINE[:-1] + b"0", body=_AS_CHUNK + SMUGGLED),
    ),
    taken("chunked in capitals", request(b"TRANSFER-ENCODING: CHUNKED", body=_AS_CHUNK), seen()),
    # no framing at all: there is no body, so what follows is the next request
    Case("no framing, then no request", request(body=b"\x01not a request"), (400, 400)),
    Case("length 0, then no request", request(b"Content-Length: 0", body=b"\x01not a request"), (400, 400)),
    Case("a body that never comes whole", request(b"Content-Length: 500", body=BODY), (), leaves=True),
    Case("chunks that never come whole", request(CHUNKED, body=_AS_CHUNK[:-2]), (), leaves=True),
)

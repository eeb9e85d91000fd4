"""How a fake model behaves on the wire: one well-behaved manner, and many bad ones, by name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Final

from tests.support.fake_llm.exchange import JSON_HEADERS, Exchange

Manner = Callable[[Exchange], Awaitable[None]]

HTML: Final = b"<html><body><h1>500 Internal Server Error</h1></body></html>"
SENT_BEFORE_TROUBLE: Final = 3
"""Events that arrive before a streamed answer breaks: the role and two tokens."""


async def well(exchange: Exchange) -> None:
    """Answer as the vendor does."""
    if not exchange.stream:
        await exchange.respond_plain()
        return
    await exchange.stream_head()
    for event in exchange.reply.events:
        await exchange.chunk(event)
        await exchange.pause()
    await exchange.chunk(exchange.reply.end)
    await exchange.chunk(b"")


async def silent(exchange: Exchange) -> None:
    """Accept the request and never answer."""
    await exchange.until_left()


async def stall(exchange: Exchange) -> None:
    """Begin to answer, then say nothing more."""
    await _begin(exchange)
    await exchange.until_left()


async def reset(exchange: Exchange) -> None:
    """Begin to answer, then RST."""
    await _begin(exchange)
    exchange.reset()


async def reset_before_head(exchange: Exchange) -> None:
    exchange.reset()


async def close_before_head(exchange: Exchange) -> None:
    exchange.finish()


async def fin(exchange: Exchange) -> None:
    """Begin to answer, then FIN: the body's framing is left open."""
    await _begin(exchange)
    exchange.finish()


async def ends_early(exchange: Exchange) -> None:
    """Stop after a few tokens with the framing closed properly: no finish reason, no `[DONE]`."""
    await _begin(exchange)
    await exchange.chunk(b"")


async def no_done(exchange: Exchange) -> None:
    """Say all there is to say, but never `[DONE]`, and close without ending the body."""
    await exchange.stream_head()
    for event in exchange.reply.events:
        await exchange.chunk(event)
    exchange.finish()


async def no_done_but_closed(exchange: Exchange) -> None:
    """Never send `[DONE]`, but end the body as it should end."""
    await exchange.stream_head()
    for event in exchange.reply.events:
        await exchange.chunk(event)
    await exchange.chunk(b"")


async def cut_inside_event(exchange: Exchange) -> None:
    await _begin(exchange)
    await exchange.chunk(exchange.reply.events[SENT_BEFORE_TROUBLE][:40])
    exchange.finish()


async def short_body(exchange: Exchange) -> None:
    """Promise more bytes than come."""
    body = exchange.reply.plain
    await exchange.head("200 OK", [*JSON_HEADERS, ("Content-Length", str(len(body) + 100))])
    await exchange.write(body)
    exchange.finish()


async def long_body(exchange: Exchange) -> None:
    """Send more bytes than were promised: a second answer that nobody asked for."""
    body = exchange.reply.plain
    poison = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\npoison"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    await exchange.write(head.encode() + body + poison)


async def bad_chunk(exchange: Exchange) -> None:
    await _begin(exchange)
    await exchange.write(b"this is not a chunk size\r\n")
    await exchange.until_left()


async def garbage(exchange: Exchange) -> None:
    """Speak another protocol."""
    await exchange.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    await exchange.until_left()


async def two_lengths(exchange: Exchange) -> None:
    await exchange.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}"
    )
    await exchange.until_left()


async def huge_header(exchange: Exchange) -> None:
    await exchange.respond("200 OK", [*JSON_HEADERS, ("x-huge", "h" * 100_000)], b"{}")
    await exchange.until_left()


async def endless_headers(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\n")
    while True:  # ends by SenderLeftError
        await exchange.write(b"x-more: " + b"m" * 1000 + b"\r\n")


async def rate_limited(exchange: Exchange) -> None:
    headers = [*JSON_HEADERS, ("Retry-After", "7"), ("x-ratelimit-reset-requests", "6.5s")]
    body = exchange.reply.error("Rate limit reached for fake models.", "requests", "rate_limit_exceeded")
    await exchange.respond("429 Too Many Requests", headers, body)


async def bad_request(exchange: Exchange) -> None:
    body = exchange.reply.error("'messages' must not be empty.", "invalid_request_error", None)
    await exchange.respond("400 Bad Request", JSON_HEADERS, body)


async def unavailable(exchange: Exchange) -> None:
    body = exchange.reply.error("The server is overloaded.", "server_error", "overloaded")
    await exchange.respond("503 Service Unavailable", [*JSON_HEADERS, ("Retry-After", "3")], body)


async def html(exchange: Exchange) -> None:
    await exchange.respond("500 Internal Server Error", [("Content-Type", "text/html")], HTML)


async def error_event(exchange: Exchange) -> None:
    """Fail in the middle of a stream and say so in it, as the family does."""
    await _begin(exchange)
    for event in exchange.reply.failure:
        await exchange.chunk(event)
    await exchange.chunk(b"")


async def failed(exchange: Exchange) -> None:
    """End a stream with an event that tells of failure in place of the answer."""
    await _begin(exchange)
    await exchange.chunk(exchange.reply.failed)
    await exchange.chunk(b"")


async def drip(exchange: Exchange) -> None:
    """Send a good answer in chunks of one byte."""
    await exchange.stream_head()
    for byte in b"".join([*exchange.reply.events, exchange.reply.end]):
        await exchange.chunk(bytes([byte]))
    await exchange.chunk(b"")


async def lump(exchange: Exchange) -> None:
    """Send a good stream, all events in one chunk."""
    await exchange.stream_head()
    await exchange.chunk(b"".join([*exchange.reply.events, exchange.reply.end]))
    await exchange.chunk(b"")


async def crlf(exchange: Exchange) -> None:
    """End the lines of the events with CRLF, and comment between them, as the standard allows."""
    await exchange.stream_head()
    for event in [b": keep-alive\n\n", *exchange.reply.events, exchange.reply.end]:
        await exchange.chunk(event.replace(b"\n", b"\r\n"))
    await exchange.chunk(b"")


async def close_after(exchange: Exchange) -> None:
    """Answer well without a word of closing, then close the idle connection."""
    await well(exchange)
    exchange.finish()


async def say_close(exchange: Exchange) -> None:
    """Answer well and say `Connection: close`."""
    body = exchange.reply.plain
    await exchange.respond("200 OK", [*JSON_HEADERS, ("Connection", "close")], body)
    exchange.finish()


async def http10(exchange: Exchange) -> None:
    """Answer as an HTTP/1.0 server: the end of the connection is the end of the body."""
    await exchange.head("200 OK", JSON_HEADERS, version="HTTP/1.0")
    await exchange.write(exchange.reply.plain)
    exchange.finish()


async def no_content(exchange: Exchange) -> None:
    await exchange.head("204 No Content", [])


async def interim(exchange: Exchange) -> None:
    """Send two interim answers before the real one."""
    await exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await exchange.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
    await well(exchange)


async def gzip_if_asked(exchange: Exchange) -> None:
    accepted = exchange.received.header("accept-encoding") or ""
    await (gzip_always if "gzip" in accepted else well)(exchange)


async def gzip_always(exchange: Exchange) -> None:
    headers = [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    if not exchange.stream:
        await exchange.respond_plain(headers, gzip.compress(exchange.reply.plain, mtime=0))
        return
    await exchange.stream_head(headers)
    squeeze = zlib.compressobj(wbits=31)
    for event in [*exchange.reply.events, exchange.reply.end]:
        await exchange.chunk(squeeze.compress(event) + squeeze.flush(zlib.Z_SYNC_FLUSH))
    await exchange.chunk(squeeze.flush())
    await exchange.chunk(b"")


async def refuse_early(exchange: Exchange) -> None:
    """Answer before the request has been sent whole, read what still comes, and close."""
    body = exchange.reply.error("The prompt is too long.", "invalid_request_error", "context_length_exceeded")
    await exchange.respond("413 Content Too Large", [*JSON_HEADERS, ("Connection", "close")], body)
    await exchange.until_left()


async def cookies(exchange: Exchange) -> None:
    """Answer with headers that belong to the provider's own site, or to this hop only."""
    headers = [
        *JSON_HEADERS,
        ("Set-Cookie", "__cf_bm=secret; path=/"),
        ("Server", "fake/1.0"),
        ("Alt-Svc", 'h3=":443"; ma=86400'),
        ("Strict-Transport-Security", "max-age=31536000"),
        ("Access-Control-Allow-Origin", "*"),
        ("Connection", "keep-alive, x-this-hop"),
        ("Keep-Alive", "timeout=5"),
        ("X-This-Hop", "only"),
        ("X-Custom-Thing", "stays; q=1"),
        ("X-Weir-Request-Id", "forged"),
    ]
    await exchange.respond("200 OK", headers, exchange.reply.plain)


async def _begin(exchange: Exchange) -> None:
    """The head and the first part of a good answer."""
    if exchange.stream:
        await exchange.stream_head()
        for event in exchange.reply.events[:SENT_BEFORE_TROUBLE]:
            await exchange.chunk(event)
    else:
        await exchange.head("200 OK", [*JSON_HEADERS, ("Transfer-Encoding", "chunked")])
        await exchange.chunk(exchange.reply.plain[:100])


MANNERS: Final[dict[str, Manner]] = {
    "": well,
    "silent": silent,
    "stall": stall,
    "reset": reset,
    "reset-before-head": reset_before_head,
    "close-before-head": close_before_head,
    "fin": fin,
    "ends-early": ends_early,
    "no-done": no_done,
    "no-done-but-closed": no_done_but_closed,
    "cut-inside-event": cut_inside_event,
    "short-body": short_body,
    "long-body": long_body,
    "bad-chunk": bad_chunk,
    "garbage": garbage,
    "two-lengths": two_lengths,
    "huge-header": huge_header,
    "endless-headers": endless_headers,
    "429": rate_limited,
    "400": bad_request,
    "503": unavailable,
    "500-html": html,
    "error-event": error_event,
    "failed": failed,
    "drip": drip,
    "lump": lump,
    "crlf": crlf,
    "close-after": close_after,
    "say-close": say_close,
    "http10": http10,
    "204": no_content,
    "interim": interim,
    "gzip": gzip_if_asked,
    "gzip-always": gzip_always,
    "cookies": cookies,
}

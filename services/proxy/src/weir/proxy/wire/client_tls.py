"""TLS between a client's socket and its connection: a protocol to the one, a transport to the other.

The loop's own TLS would do, but for three things: each new connection meets the certificate that is in force
then, a load balancer's PROXY header comes before TLS, and a connection closes when all is sent. The loop's
waits until the client closes too, which one with a pool of idle connections may not do for minutes.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from weir.proxy.wire.proxy_protocol import BadProxyHeaderError, read_header

if TYPE_CHECKING:
    from collections.abc import Callable

_READ: Final = 256 << 10


class EncryptedClient(asyncio.Protocol, asyncio.Transport):
    """One encrypted connection. `connect` makes its protocol when the handshake is over."""

    def __init__(
        self,
        context: ssl.SSLContext,
        connect: Callable[[], asyncio.Protocol],
        *,
        seconds: float,
        proxy_protocol: bool,
    ) -> None:
        """`seconds`: how long all that comes before the first request may take."""
        self._connect = connect
        self._seconds = seconds
        self._preface: bytes | None = b"" if proxy_protocol else None
        """What came of the PROXY header so far; None when it is not, or no longer, expected."""
        self._told_peer: tuple[str, int] | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._socket: asyncio.Transport = cast("asyncio.Transport", None)
        self._deadline: asyncio.TimerHandle | None = None
        self._protocol: asyncio.Protocol | None = None
        """None until the handshake is over."""
        self._is_closing = False

    def __repr__(self) -> str:
        state = "closing" if self._is_closing else "open" if self._protocol else "shaking hands"
        return f"<EncryptedClient {state}>"

    # -- what the socket calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)
        self._deadline = asyncio.get_running_loop().call_later(self._seconds, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._preface is not None:
            data = self._read_preface(self._preface + data)
        if not data:
            return
        self._incoming.write(data)
        protocol = self._protocol or self._shake_hands()
        if protocol is not None:
            self._read(protocol)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._forget_deadline()
        if self._protocol is not None:
            self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # -- what the connection calls

    def write(self, data: Any) -> None:
        """Encrypt and send."""
        if self._is_closing:
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._say_goodbye()
        self._socket.write_eof()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._say_goodbye()
            self._socket.close()

    def abort(self) -> None:
        self._is_closing = True
        self._socket.abort()

    def is_closing(self) -> bool:
        return self._is_closing or self._socket.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername" and self._told_peer is not None:
            return self._told_peer
        return self._tls if name == "ssl_object" else self._socket.get_extra_info(name, default)

    # -- inside

    def _read_preface(self, data: bytes) -> bytes:
        """What follows the load balancer's word on who the client is; nothing while that is not whole."""
        try:
            found = read_header(data)
        except BadProxyHeaderError:
            self.abort()
            return b""
        if found is None:
            self._preface = data
            return b""
        address, end = found
        self._preface = None
        if address is not None:
            self._told_peer = (address, 0)
        return data[end:]

    def _shake_hands(self) -> asyncio.Protocol | None:
        """The protocol, once the handshake is over."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return None
        except ssl.SSLError:
            self._give_up()
            return None
        self._flush()
        self._forget_deadline()
        protocol = self._protocol = self._connect()
        protocol.connection_made(self)
        return protocol

    def _read(self, protocol: asyncio.Protocol) -> None:
        pieces: list[bytes] = []
        has_ended = False
        try:
            while not has_ended and (self._incoming.pending or self._tls.pending()):
                pieces.append(self._tls.read(_READ))
                has_ended = not pieces[-1]
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still to come
        except ssl.SSLError:
            self._give_up()
            return
        self._flush()  # what TLS itself has to say
        if data := b"".join(pieces):
            protocol.data_received(data)
        if has_ended:
            protocol.eof_received()
            self.close()

    def _give_up(self) -> None:
        """A scanner, plain HTTP, a client that does not trust the certificate: not worth a line each."""
        self._flush()
        self._is_closing = True
        self._socket.close()

    def _say_goodbye(self) -> None:
        with suppress(ssl.SSLError):  # it would wait for the client's, or there is nobody to say it to
            self._tls.unwrap()
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and not self._socket.is_closing():
            self._socket.write(data)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

"""TLS on both sides: the certificate that clients see, and whom upstreams must prove to be.

Key material is in here and in the pipe to the workers, in no log and no `repr`.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_KEY: Final = b"PRIVATE KEY-----"
_MAX_BYTES: Final = 1 << 20
_PROTOCOLS: Final = ["http/1.1"]
_MAX_SESSIONS: Final = 256
# OpenSSL, x509_vfy.h
_WRONG_NAME: Final = frozenset({62, 64})
_NOT_VALID_NOW: Final = frozenset({9, 10})
_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})


class PemError(Exception):
    """What a file holds cannot be used. The message says why and how to mend it, and nothing of the file."""


class TlsPair(msgspec.Struct, frozen=True):
    """A certificate with its chain, and its key, as PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "<TlsPair>"


def read_certificates(path: Path) -> bytes:
    """The certificates in a file, without the notes that may stand between them.

    Raises:
        PemError: it cannot be read, or there are none.
    """
    found = _CERTIFICATE.findall(_read(path))
    if not found:
        raise PemError(f"{path} has no certificate in it; write it as PEM (-----BEGIN CERTIFICATE-----)")
    return b"\n".join(found) + b"\n"


def read_private_key(path: Path) -> bytes:
    """The private key in a file.

    Raises:
        PemError: it cannot be read, or there is none.
    """
    pem = _read(path)
    if _KEY not in pem:
        raise PemError(f"{path} has no private key in it; write it as PEM (-----BEGIN PRIVATE KEY-----)")
    return pem


def server_context(pair: TlsPair) -> ssl.SSLContext:
    """What clients are met with: TLS 1.2 or newer, HTTP/1.1, tickets to resume sessions.

    Raises:
        PemError: certificate and key are damaged or do not belong together, or the key is encrypted.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        with _as_file(pair.key.rstrip() + b"\n" + pair.certificate) as path:
            context.load_cert_chain(path, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise PemError("the key is not the certificate's; name two files that belong together") from None
        raise PemError("the certificate or the key is damaged; write both as PEM") from None
    return context


def explain(error: ssl.SSLError) -> tuple[str, str]:
    """The code of an upstream's failed handshake, and words for it; nothing that came from the upstream."""
    code = getattr(error, "verify_code", None)
    if code in _WRONG_NAME:
        return "upstream_tls_wrong_name", "The model server's certificate is another name's."
    if code in _NOT_VALID_NOW:
        return "upstream_tls_expired", "The model server's certificate has expired, or is not valid yet."
    if code in _UNTRUSTED:
        return "upstream_tls_untrusted", "The model server's certificate is vouched for by nobody we trust."
    why = getattr(error, "reason", None) or "the handshake failed"
    return "upstream_tls", f"The model server's TLS was refused: {why}."


def client_context(ca: str | None) -> ssl.SSLContext:
    """What upstreams are met with: `ca` (PEM), or else the system's authorities, must vouch for their name.

    Raises:
        PemError: there is no certificate in `ca` that can be read.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise PemError("there is no certificate in it that can be read; write it as PEM") from None
    # An intermediate authority, or the server's own certificate, may be all that is trusted; and authorities
    # made by hand lack extensions that newer Pythons ask for by default.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class ResumingContext(ssl.SSLContext):
    """Connections to a host begin with the session of the last one to it: no certificates are sent again.

    Loops have no way to hand a session over, but they ask the context for each connection's TLS object. A
    session is the host's whose name was verified when it began, so sessions are kept by that name.
    """

    def __init__(self, _protocol: int) -> None:
        """The protocol is taken by `__new__`, as in ssl."""
        self._last: dict[str, ssl.SSLObject] = {}
        """The TLS object that was made last for each host."""
        self._sessions: dict[str, ssl.SSLSession] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as in ssl
        server_hostname: Any = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        host = str(server_hostname)
        made = super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session or self._session_of(host)
        )
        if len(self._last) >= _MAX_SESSIONS:
            self._last.clear()
            self._sessions.clear()
        self._last[host] = made
        return made

    def _session_of(self, host: str) -> ssl.SSLSession | None:
        """TLS 1.3 sends tickets after the handshake, so the last connection is asked now and not then."""
        last = self._last.get(host)
        # One whose handshake was not completed has verified nothing.
        if last is not None and last.version() is not None:
            session = last.session
            if session is not None and session.has_ticket:
                self._sessions[host] = session
        return self._sessions.get(host)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise PemError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise PemError(f"{path} is too large for PEM; name another file")
    return data


@contextmanager
def _as_file(data: bytes) -> Generator[str]:
    """A path by which OpenSSL can read what is in memory; on Linux nothing comes onto a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("weir")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name


def _no_password() -> str:
    """Nobody is there to type it."""
    raise PemError("the key is encrypted; store it without a password, readable for this user only")

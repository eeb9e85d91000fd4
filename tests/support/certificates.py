"""Certificates for tests: an authority of one's own and what it signs, made by the openssl program."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
LOCAL: Final = "IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """For a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates. `pair` is its own."""

    def __init__(self, directory: Path, name: str = "test authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.pair = Pair(directory / "ca.pem", directory / "ca.key")
        ours = ("-keyout", str(self.pair.key), "-out", str(self.pair.certificate), "-subj", f"/CN={name}")
        _openssl("req", "-x509", *_KEY, *ours)

    def client(self) -> ssl.SSLContext:
        """For a client that trusts nobody else."""
        return ssl.create_default_context(cafile=self.pair.certificate)

    def sign(self, name: str, names: str = LOCAL, *, days: int = 30) -> Pair:
        """A new key and a certificate of it; it has expired where `days` is negative."""
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.names"
        extensions.write_text(f"subjectAltName={names}")
        _openssl("req", *_KEY, "-keyout", str(pair.key), "-out", str(request), "-subj", f"/CN={name}")
        ours = ("-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key), "-CAcreateserial")
        more = ("-days", str(days), "-extfile", str(extensions))
        _openssl("x509", "-req", "-in", str(request), "-out", str(pair.certificate), *ours, *more)
        return pair


def self_signed(directory: Path) -> Pair:
    """A certificate that vouches for itself."""
    directory.mkdir(parents=True, exist_ok=True)
    pair = Pair(directory / "self.pem", directory / "self.key")
    names = ("-addext", f"subjectAltName={LOCAL}", "-subj", "/CN=self")
    _openssl("req", "-x509", *_KEY, "-keyout", str(pair.key), "-out", str(pair.certificate), *names)
    return pair


def encrypted(pair: Pair, path: Path) -> Path:
    """The pair's key behind a password."""
    how = ("-in", str(pair.key), "-aes256", "-passout", "pass:secret")
    _openssl("pkey", *how, "-out", str(path))
    return path


def _openssl(*command: str) -> None:
    subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60)

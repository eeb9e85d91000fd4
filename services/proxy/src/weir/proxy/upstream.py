"""Upstream: one place to send requests to."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal
from urllib.parse import urlsplit

import msgspec


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds an upstream may take."""

    connect: float
    first_byte: float
    """From the request being sent to the response's head."""
    idle: float
    """Between two reads of a response's body."""
    total: float
    """From the request being sent to the end of the response."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One place to send to, as the operator configured it."""

    name: str
    url: str
    """Scheme, host, port and perhaps a path before `/v1`. Not used by the in-process provider."""
    provider: str = "openai"
    """The wire dialect it speaks, a key of `PROVIDERS`."""
    variant: Literal["production", "canary"] = "production"
    api_key: str | None = None
    models: tuple[str, ...] = ()
    """Names or globs of the models it serves; empty means any."""
    weight: float = 1.0
    rename: dict[str, str] = {}
    """Public model names to the names this upstream knows them by."""
    timeouts: Timeouts | None = None
    """Its own time limits; None for the proxy's."""
    ask_usage: Literal["each", "end", "never"] = "end"
    """What streams are asked for though their client did not: usage with each chunk, at the end, nothing."""
    ca: str | None = None
    """The certificates (PEM) by which it must prove itself; None for the system's authorities."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every request, in place of the client's headers of the same names."""

    def __repr__(self) -> str:
        return f"<Upstream {self.name} {self.provider} {self.url or 'in-process'}>"

    def serves(self, model: str) -> bool:
        return not self.models or self.names(model)

    def names(self, model: str) -> bool:
        """Whether the model is among those it lists."""
        return model in self.rename or any(fnmatchcase(model, pattern) for pattern in self.models)

    @property
    def address(self) -> Address:
        """Where its connections go.

        Raises:
            ValueError: the URL is not an http or https URL with a host.
        """
        return Address.of(self.url)


def read_key(text: str) -> str:
    """The key in a setting, without the line end that a file brings along.

    Raises:
        ValueError: it is empty, or no header can carry it.
    """
    key = text.strip()
    if not key:
        raise ValueError("it is empty; leave it unset if there is no key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("it has characters that no key has; look for a line end or a second value in it")
    return key


class Address(msgspec.Struct, frozen=True):
    """The parts of an upstream's URL that a connection and a request line need."""

    host: str
    port: int
    tls: bool
    authority: bytes
    """The `Host` header."""
    prefix: bytes
    """What stands before `/v1` in its paths."""

    @classmethod
    def of(cls, url: str) -> Address:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("write an upstream URL like http://127.0.0.1:11434 or https://api.openai.com/v1")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("an upstream URL has only ASCII characters and no spaces; write others as %XX")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "an upstream URL has no user, password, query or fragment; a key goes into api_key"
            )
        tls = parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        authority = host if port == (443 if tls else 80) else f"{host}:{port}"
        # Base URLs end in /v1 by custom, so an upstream's may too; the request's path brings its own.
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        return cls(parts.hostname, port, tls, authority.encode(), prefix.encode())

"""The types of settings: durations, sizes and listen addresses, as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE: Final = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|kB|MB|GB)?", re.IGNORECASE)
_BYTES: Final = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
MAX_PORT: Final = 65535


def parse_duration(text: str) -> float:
    """Seconds in a duration such as `250ms`, `5s`, `15m`, `24h`, `7d` or `1h30m`.

    Raises:
        ValueError: the text is not a duration.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write it like 500ms, 5s, 15m, 24h or 7d")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """The shortest way to write a duration that `parse_duration` reads."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


def parse_size(text: str) -> int:
    """Bytes in a size such as `64 MiB`, `1GB` or `4096`.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write it like 64MiB, 1GiB or a number of bytes")
    return int(match[1]) * _BYTES[(match[2] or "B").lower()]


def format_size(size: int) -> str:
    """The shortest way to write a size that `parse_size` reads."""
    for unit in ("GiB", "MiB", "KiB", "GB", "MB", "kB"):
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return str(size)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens. Port 0 takes a free one; an empty host means all interfaces."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Read `127.0.0.1:8001`, `[::1]:8001`, `localhost:8001` or `:8001`.

        Raises:
            ValueError: the text is not HOST:PORT.
        """
        host, colon, port = text.strip().rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
            raise ValueError(f"{text!r} is not a listen address; write HOST:PORT, such as 127.0.0.1:8001")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} is ambiguous; write an IPv6 address in brackets, such as [::1]:8001")
        return cls(host or "0.0.0.0", int(port))

    @property
    def is_loopback(self) -> bool:
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def url(self) -> str:
        """The address as a person on this machine would open it."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_redis_url(text: str) -> str:
    """The address of a Redis, unchanged.

    Raises:
        ValueError: the text is not one.
    """
    scheme, _, kind = urlsplit(text).scheme.partition("+")
    if scheme not in {"redis", "rediss", "unix"} or kind not in {"", "sentinel", "cluster"}:
        raise ValueError(
            "write redis://HOST:PORT/0, rediss://… for TLS, unix:///path,"
            " redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT"
        )
    return text


def _listen(value: object) -> object:
    return ListenAddress.parse(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


Listen = Annotated[ListenAddress, BeforeValidator(_listen), PlainSerializer(str)]
Seconds = Annotated[float, BeforeValidator(_duration), PlainSerializer(format_duration)]
"""A duration in seconds, written like `5s`, `24h`."""
RedisUrl = Annotated[str, AfterValidator(parse_redis_url)]


def _names(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(name.strip() for name in value.split(",") if name.strip())


Names = Annotated[tuple[str, ...], BeforeValidator(_names), PlainSerializer(",".join)]
"""Names separated by commas."""
Bytes = Annotated[int, BeforeValidator(_size), PlainSerializer(format_size)]
"""A size in bytes, written like `64MiB`."""

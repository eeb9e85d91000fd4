"""Which host names a server answers for.

A page on the internet can let its own name point to 127.0.0.1 and so read, in a visitor's browser, what
listens there (DNS rebinding). Its requests then carry its own name in `Host`; they are refused.
"""

from __future__ import annotations

import ipaddress
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final

from aiohttp import hdrs, web
from pydantic import AfterValidator

from weir.servicekit.errors import ProblemError
from weir.servicekit.values import Names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp.typedefs import Handler, Middleware

    from weir.servicekit.values import ListenAddress

ANY: Final = "*"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::[0-9]{0,5})?", re.IGNORECASE)


def _host_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name != ANY and (host_name(name) is None or _has_port(name)):
            raise ValueError(
                f"{name!r} is not a host name; write names without port, such as weir.example.com"
            )
    return names


HostNames = Annotated[Names, AfterValidator(_host_names)]
"""Host names separated by commas; `.example.com` means every name below it, `*` any."""


class Hosts:
    """The names of one server: its own, those of this machine, and those that the operator adds."""

    def __init__(self, names: Iterable[str], listen: ListenAddress, *, own_name: str) -> None:
        """`own_name`: what the server is called among its containers."""
        known = {(host_name(name) or name).lower() for name in (*names, own_name, listen.host)}
        self._names = known | _LOOPBACK
        self._suffixes = tuple(name for name in known if name.startswith("."))
        self._any = ANY in known
        self._any_address = listen.host in {"0.0.0.0", "::"}

    def expects(self, host: str) -> bool:
        """Whether a `Host` header names this server; with any port.

        A server that listens on every address is reached by every address of its machine. That is safe:
        who rebinds a name still sends the name.
        """
        name = host_name(host)
        if name is None:
            return False
        return (
            self._any
            or name in self._names
            or name.endswith((".localhost", *self._suffixes))
            or (self._any_address and _is_address(name))
        )


def expected_hosts(hosts: Hosts, setting_name: str) -> Middleware:
    """Middleware that refuses requests for other hosts, naming the setting that would allow them."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        values = request.headers.getall(hdrs.HOST, [])
        if len(values) == 1 and hosts.expects(values[0]):
            return await handler(request)
        name = host_name(values[0]) if len(values) == 1 else None
        asked = f"the host {name!r}" if name else "a request without one valid Host header"
        raise ProblemError(
            HTTPStatus.MISDIRECTED_REQUEST,
            "unexpected_host",
            f"This server does not answer for {asked}. If it should, add the name to {setting_name}.",
        )

    return check


def host_name(host: str) -> str | None:
    """The name in a `Host` header, in lower case, without port and brackets; None when it is not one."""
    match = _HOST.fullmatch(host)
    return None if match is None else match[1].strip("[]").rstrip(".").lower() or None


def _has_port(name: str) -> bool:
    return ":" in name.rpartition("]")[2]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

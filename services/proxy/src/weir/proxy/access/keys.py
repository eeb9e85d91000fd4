"""May this client come in? Known by the SHA-256 of its key; the key itself is kept nowhere."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from weir.proxy.errors import ProxyError, rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weir.proxy.exchange import RequestHead


class Keys:
    """The operator's clients. Without any, everybody may come in and nobody has a name."""

    def __init__(self, clients: Mapping[str, str]) -> None:
        """`clients`: SHA-256 of the key, in lower-case hexadecimal, to the client's name."""
        self._clients = dict(clients)

    @property
    def are_required(self) -> bool:
        return bool(self._clients)

    def identify(self, head: RequestHead) -> str | None:
        """The client's name; None where no clients are configured.

        Raises:
            ProxyError: 401, the key is missing or unknown.
        """
        if not self._clients:
            return None
        key = presented_key(head)
        name = self._clients.get(hashlib.sha256(key).hexdigest()) if key else None
        if name is None:
            raise _unauthorized("Incorrect API key provided." if key else "You did not provide an API key.")
        return name


def presented_key(head: RequestHead) -> bytes | None:
    """The key the client sent: as a bearer token, or where Anthropic's clients put it."""
    scheme, _, key = head.fields.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key.strip():
        return key.strip()
    return head.fields.get(b"x-api-key", b"").strip() or None


def _unauthorized(message: str) -> ProxyError:
    return rejected(
        HTTPStatus.UNAUTHORIZED,
        "invalid_api_key",
        f"{message} Send it as 'Authorization: Bearer KEY'; the operator of this proxy hands keys out.",
    )

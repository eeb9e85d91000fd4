"""What the proxy answers by itself: errors in the shape that the client reads."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from weir.proxy.errors import rejected
from weir.proxy.wire.heads import own_response

if TYPE_CHECKING:
    from weir.proxy.access.cors import Cors
    from weir.proxy.errors import ProxyError
    from weir.proxy.exchange import Client, RequestHead
    from weir.proxy.wire.framing import BadRequestError
    from weir.proxy.wire.server import ClientConnection

RETRY_SECONDS: Final = 1


class Answers:
    """Writes them."""

    def __init__(self, cors: Cors) -> None:
        self._cors = cors

    def refuse(
        self, client: Client, head: RequestHead, error: ProxyError, body: bytes, *, request_id: str | None
    ) -> None:
        """Answer with an error. The connection is kept where that can be."""
        close = client.must_close(head)
        response = own_response(
            error.status,
            body,
            request_id=request_id,
            close=close,
            headers=error.headers,
            extra=self._cors.headers(head),
        )
        if head.method == b"HEAD":
            response = response[: response.index(b"\r\n\r\n") + 4]
        client.write(response)
        client.response_done(keep_alive=not close)


def malformed(error: BadRequestError) -> ProxyError:
    return rejected(error.status, error.code, error.message)


def crowded(error: BadRequestError) -> ProxyError:
    return rejected(error.status, error.code, error.message, (b"Retry-After", b"%d" % RETRY_SECONDS))


def refuse_malformed(client: ClientConnection, refusal: ProxyError) -> None:
    """Answer what is no request. Nothing of it is repeated, and nothing after it is read."""
    client.write(
        own_response(refusal.status, refusal.body(), request_id=None, close=True, headers=refusal.headers)
    )
    client.close()


def journal_full() -> ProxyError:
    return rejected(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "journal_full",
        "The record of this request would find no room. Try again in a moment.",
        (b"Retry-After", b"%d" % RETRY_SECONDS),
    )


def overloaded() -> ProxyError:
    return rejected(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "overloaded",
        "Too many requests are in flight. Try again in a moment.",
        (b"Retry-After", b"%d" % RETRY_SECONDS),
    )

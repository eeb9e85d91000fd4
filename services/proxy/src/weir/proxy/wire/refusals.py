"""Why a client's bytes are not taken for a request: the status and words of each refusal."""

from __future__ import annotations

from http import HTTPStatus

from weir.proxy.wire.framing import BadRequestError


def malformed(message: str) -> BadRequestError:
    return BadRequestError(HTTPStatus.BAD_REQUEST, "malformed_request", message)


def target_too_long() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.REQUEST_URI_TOO_LONG, "target_too_long", "The request target is too long."
    )


def head_too_large() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "headers_too_large",
        "The request's headers are too large.",
    )


def head_too_slow() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request's headers took too long to arrive."
    )


def body_too_slow() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request's body came too slowly."
    )


def failed() -> BadRequestError:
    return BadRequestError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The proxy failed on this request. Its log says why.",
    )

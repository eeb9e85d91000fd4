"""What can go wrong below the doors, and what clients are told of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from weir.metrics_api.live.hub import TooManyListenersError
from weir.metrics_api.reports.filter import InvalidFilterError
from weir.metrics_api.reports.requests import InvalidCursorError
from weir.metrics_api.reports.time_range import InvalidRangeError
from weir.metrics_api.storage.places import TooManyQuestionsError
from weir.metrics_api.storage.port import QueryTimeoutError, StorageError
from weir.servicekit.errors import ProblemError

RETRY_SECONDS: Final = "2"
_PROBLEMS: Final[tuple[tuple[type[Exception], HTTPStatus, str, str], ...]] = (
    (InvalidRangeError, HTTPStatus.BAD_REQUEST, "invalid_range", "{error}"),
    (InvalidCursorError, HTTPStatus.BAD_REQUEST, "invalid_cursor", "{error}"),
    (InvalidFilterError, HTTPStatus.BAD_REQUEST, "invalid_parameter", "{error}"),
    (
        TooManyListenersError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_listeners",
        "all places for live listeners are taken; try again later",
    ),
    (
        QueryTimeoutError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "query_timeout",
        "{error}; ask for a shorter range or add a filter",
    ),
    (
        TooManyQuestionsError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_questions",
        "{error}; try again in a moment",
    ),
    (
        StorageError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "the database does not answer now ({error}); try again later",
    ),
)


def problem_of(error: BaseException) -> ProblemError | None:
    """What to tell of an error of reports, storage or hub; None of one that was not foreseen."""
    if isinstance(error, ProblemError):
        return error
    for kind, status, code, text in _PROBLEMS:
        if isinstance(error, kind):
            headers = {"Retry-After": RETRY_SECONDS} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
            return ProblemError(status, code, text.format(error=error), headers)
    return None
